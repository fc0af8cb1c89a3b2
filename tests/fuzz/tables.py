"""Tables with mistakes in them: loading and checking says what is wrong, and never fails in another way."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from random import Random

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.model.problems import TableError
from calltable.engine.run.compile import compile_machine


@lru_cache(maxsize=1)
def shipped() -> tuple[str, ...]:
    """The texts of the shipped machines."""
    return tuple(Path(source.file).read_text(encoding="utf-8") for source in load_tables().sources if source.kind == "machine")


def broken(seed: str, number: int) -> str:
    """Load one shipped table with some mistakes; its text. Raises what is not a TableError."""
    rng = Random(f"{seed}/table/{number}")
    text = rng.choice(shipped())
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = _mistake(rng, text)
    try:
        library = load_tables(texts={"fuzz.yaml": text})
        if check(library):
            return text
        config = {name: parameter.default for name, parameter in library.catalogue.config.items()}
        for machine in library.machines.values():
            compile_machine(machine, config, dict.fromkeys(library.catalogue.predicates, lambda *_: True))
    except TableError:
        pass
    return text


def _mistake(rng: Random, text: str) -> str:
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    words = list(re.finditer(r"[\w.$]+", text))
    word, second = rng.choice(words), rng.choice(words)
    what = rng.randrange(7)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(other, lines[at])
    elif what == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif what == 3:
        lines[at] = " " * rng.randrange(8) + lines[at].lstrip()
    elif what == 4:
        return text[: word.start()] + second[0] + text[word.end() :]
    elif what == 5:
        return text[: word.start()] + rng.choice(("null", "0", "-1", "[]", "{}", "''", "true", "$event", "9" * 30, "any", "*")) + text[word.end() :]
    else:
        spot = rng.randrange(len(text))
        return text[:spot] + rng.choice("{}[]:,'\"#&*!|>%@\t\0é") + text[spot + 1 :]
    return "\n".join(lines)
