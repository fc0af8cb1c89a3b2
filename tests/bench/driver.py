"""What the SIP benchmarks stand on: the load driver, the servers they compare, and figures beside their targets.

The driver, ``sipbench.py``, starts a server between a SIPp caller and a SIPp callee and takes the CPU time of its
process tree. It lies in ``../shared/bench`` beside the project; where it is missing the benchmarks say so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "bench"
WORK = ROOT / "build" / "bench"
FIRST_PORT = 26_060
SERVERS = ("calltable", "floor", "sippy", "floor-uvloop", "kamailio")


class CannotRunError(Exception):
    """Something a benchmark needs is not there; the text says what."""


def load_driver() -> ModuleType:
    """``sipbench.py`` as a module. Raises CannotRunError."""
    path = SHARED / "sipbench.py"
    if not path.exists():
        raise CannotRunError(f"the load driver {path} is not there")
    if shutil.which("sipp") is None:
        raise CannotRunError("SIPp is not installed (Debian: apt-get install sip-tester)")
    spec = importlib.util.spec_from_file_location("sipbench", path)
    if spec is None or spec.loader is None:
        raise CannotRunError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sipbench"] = module
    spec.loader.exec_module(module)
    return module


def serve_command() -> str:
    """The command line of the B2BUA under test."""
    script = Path(sys.executable).with_name("calltable")
    start = str(script) if script.exists() else f"{sys.executable} -m calltable.tools.main"
    return start + " serve --listen udp:{host}:{port} --next-hop sip:{next_host}:{next_port} --log-level error"


def sippy_python() -> str:
    """A Python that has Sippy, in a venv of its own: it installs a top-level ``tests`` that would hide ours. Raises CannotRunError."""
    home = WORK / "sippy"
    python = home / "bin" / "python"
    if not (home / ".ready").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
            subprocess.run([python, "-m", "pip", "install", "-qq", "sippy>=2.0"], check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            told = getattr(error, "stderr", b"") or b""
            raise CannotRunError(f"Sippy cannot be installed: {told.decode(errors='replace')[-300:] or error}") from None
        (home / ".ready").touch()
    return str(python)


def server(driver: ModuleType, name: str) -> Any:
    """One of the servers under comparison, by a name of ``SERVERS``, on ports that are free. Raises CannotRunError."""
    port = driver.free_port("127.0.0.1", FIRST_PORT)
    ports = {"port": port, "next_port": driver.free_port("127.0.0.1", port + 20), "settle": 1.0}
    if name == "calltable":
        return driver.Server(name=name, cmd=serve_command(), **ports, cwd=str(ROOT))
    if name == "floor":
        command = f"{sys.executable} {SHARED / 'floor.py'} b2bua asyncio {{port}} {{next_port}}"
        return driver.Server(name="floor-asyncio", cmd=command, **ports)
    if name == "sippy":
        command = f"{sippy_python()} {SHARED / 'peers' / 'sippy_one_thread.py'} -f -l 127.0.0.1 -p {{port}} -n 127.0.0.1:{{next_port}}"
        return driver.Server(name=name, cmd=command, env={"SIPLOG_BEND": "none"}, **ports)
    if name == "floor-uvloop":
        if importlib.util.find_spec("uvloop") is None:
            raise CannotRunError("uvloop is not installed")
        command = f"{sys.executable} {SHARED / 'floor.py'} b2bua uvloop-drain {{port}} {{next_port}}"
        return driver.Server(name=name, cmd=command, **ports)
    if name == "kamailio":
        if shutil.which("kamailio", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin") is None:
            raise CannotRunError("Kamailio is not installed")
        command = f"{SHARED / 'peers' / 'kamailio.sh'} 1 {{port}} {{next_port}} {{work}}"
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return driver.Server(name=name, cmd=command, env={"PATH": path}, **ports)
    raise CannotRunError(f"there is no server {name}; there are {', '.join(SERVERS)}")


def options(driver: ModuleType, **given: Any) -> Any:
    """The driver's options, with its own scenarios but for the ``;transport=UDP`` of their Contacts.

    That is what a UDP Contact says without it (RFC 3261 §19.1.1), and Sippy 2.5.0 takes ``UDP`` for an unknown transport:
    it would raise an error in place of the BYE to the callee, and so be spared a quarter of each call.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    for side, text in (("uac", driver.UAC_XML), ("uas", driver.UAS_XML)):
        file = WORK / f"{side}.xml"
        file.write_text(text.replace(";transport=[transport]", ""), encoding="utf-8")
        given[f"{side}_xml"] = str(file)
    return driver.Options(**given)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpus": os.cpu_count(), "cpu": model, "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": platform.release(), "load": [round(one, 2) for one in os.getloadavg()],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One measured number, with its target where it has one. ``sign`` is ``<=`` or ``<``."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    sign: str = "<="

    @property
    def met(self) -> bool:
        """Whether the target is met; True without one."""
        return self.limit is None or (self.value <= self.limit if self.sign == "<=" else self.value < self.limit)

    def line(self) -> str:
        """The figure as a row of a table."""
        asked = "" if self.limit is None else f"{self.sign.replace('<=', '≤')} {self.limit:g} {self.unit}".rstrip()
        verdict = "" if self.limit is None else "met" if self.met else "MISSED"
        return f"{self.name:<52} {self.value:>10.4g} {self.unit:<8} {asked:<16} {verdict}".rstrip()

    def json(self) -> dict[str, Any]:
        """The figure for the JSON file."""
        asked = {} if self.limit is None else {"limit": self.limit, "sign": self.sign, "met": self.met}
        return {"name": self.name, "value": round(self.value, 4), "unit": self.unit, **asked}


def finish(benchmark: str, figures: Iterable[Figure], raw: Any, file: Path | None, told: Iterable[str] = ()) -> int:
    """Print the table, write the JSON file; the exit status."""
    figures = list(figures)
    for figure in figures:
        print(figure.line())
    for line in told:
        print(line)
    if file is not None:
        data = {"benchmark": benchmark, "machine": machine(), "figures": [figure.json() for figure in figures], "runs": raw}
        file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1
