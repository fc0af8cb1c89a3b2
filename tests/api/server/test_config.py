"""Reading ``calltable.yaml``: everything wrong at once, where it stands, and how to mend it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calltable import tables
from calltable.adapters.sip.transport.address import Address
from calltable.b2bua.routes import Route
from calltable.engine.language.source import read_source
from calltable.engine.model.problems import TableError
from calltable.server.config import Config, ConfigError, every_problem, parse_config, read_config
from calltable.server.config_schema import NAME, schema_text

WHOLE = """\
listen: [udp:127.0.0.1:5060, 'tcp:[::1]:5080']
host: sip.example.com
routes:
  - {name: emergency, uri: '^sips?:(112|911)@', target: sip:psap.example.com}
  - {name: blue, header: {X-Tenant: '^blue$'}, source: '^10\\.', target: 'sip:10.0.0.9:5070;transport=tcp'}
  - {name: nobody, reject: 403}
timers: {t1: 250ms, no_answer: 30s}
settings: {closing: 1m}
limits: {calls: 20, retry_after: 7s, drain: 2.5s, tcp_connections: 9, tcp_connections_per_source: 3, tcp_idle: 1m}
log: {level: debug, format: json}
trace: calls.jsonl
control: control.sock
"""
ROUTES = "routes: [{target: sip:a}]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "c.yaml")
    return [f"{one.position.line}:{one.position.column} {one.message} | {one.hint}" for one in caught.value.problems]


def test_a_whole_configuration_is_read(tmp_path):
    config = parse_config(WHOLE, str(tmp_path / "calltable.yaml"))
    assert config.listen == (Address("udp", "127.0.0.1", 5060), Address("tcp", "::1", 5080))
    assert config.host == "sip.example.com"
    assert [route.name for route in config.routes] == ["emergency", "blue", "nobody"]
    assert config.routes[1].header == ("X-Tenant", "^blue$")
    assert config.timers == {"t1": 0.25, "no_answer": 30.0}
    assert (config.max_calls, config.retry_after, config.drain) == (20, 7.0, 2.5)
    assert (config.transport.tcp_connections, config.transport.tcp_idle_timeout) == (9, 60.0)
    assert config.transport.tcp_connections_per_source == 3
    assert (config.log_level, config.log_format) == ("debug", "json")
    assert (config.trace, config.control) == (tmp_path / "calls.jsonl", tmp_path / "control.sock")


def test_what_is_left_out_has_its_default():
    config, default = parse_config(ROUTES), Config()
    assert config.routes[0].target == "sip:a"
    assert (config.listen, config.max_calls, config.drain) == (default.listen, default.max_calls, default.drain)


def test_the_tables_run_with_the_timers_that_are_configured():
    machines = parse_config(ROUTES + "timers: {no_answer: 30s}").load_tables()
    assert (machines.config["no_answer"], machines.config["t1"]) == (30.0, 0.5)


def test_a_timer_that_no_table_knows_is_told_where_it_stands():
    config = parse_config(ROUTES + "timers: {t1: 1s, noanswer: 30s}", "c.yaml")
    with pytest.raises(ConfigError, match=r"c\.yaml:2:18: unknown setting 'noanswer'\n    did you mean no_answer\?"):
        config.load_tables()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listne: []", "1:1 the configuration has no key 'listne' | did you mean listen?"),
        ("listen: udp:127.0.0.1:5060", "1:9 «listen» must be a list, not 'udp:127.0.0.1:5060' | write [udp:127.0.0.1:5060]"),
        ("listen: [tls:127.0.0.1:5061]", "1:10 transport 'tls' is not supported | supported: udp, tcp"),
        ("listen: [udp:127.0.0.1:1, udp:127.0.0.1:1]", "1:27 udp:127.0.0.1:1 is listed twice | list it once"),
        ("listen: [udp:somewhere]", "1:10 'udp:somewhere': 'somewhere' is not an IP address; write it as in udp:127.0.0.1:5060 or udp:[::1]:5060 | "),
        ("listen: []", "1:9 «listen» is empty | write [udp:127.0.0.1:5060]"),
        ("routes: [{uri: '(', target: sip:a}]", "1:16 route 1: invalid uri pattern '(': missing ) | "),
        ("routes: [{name: x, target: 'sip:{usr}@a'}]", "1:28 route x: target uses {usr}, but no pattern has a group (?P<usr>…) | did you mean {user}?"),
        ("routes: [{target: 'sip:a@{host}'}]", "1:19 route 1: target uses {host}, but no pattern has a group (?P<host>…) | write {user} for the dialled user, or add a group (?P<name>…) to a pattern"),
        ("routes: [{target: 'sip:{}@a'}]", "1:19 route 1: target 'sip:{}@a': {} is not a placeholder | write {user} for the dialled user, or {name} for a group (?P<name>…) of a pattern"),
        ("routes: [{target: 'sip:{user.name}@a'}]", "1:19 route 1: target 'sip:{user.name}@a': {user.name} is not a placeholder | write {user} for the dialled user, or {name} for a group (?P<name>…) of a pattern"),
        ("routes: [{target: 'sip:{user@a'}]", "1:19 route 1: target 'sip:{user@a': {user@a is not a placeholder | write {user} for the dialled user, or {name} for a group (?P<name>…) of a pattern"),
        ("routes: [{target: 'sips:a'}]", "1:19 route 1: target 'sips:a': TLS is not supported yet | write sip: if the network on the way is trusted"),
        ("routes: [{target: 'sip:a;transport=tls'}]", "1:19 route 1: target 'sip:a;transport=tls': transport 'tls' is not supported | supported: udp, tcp"),
        ('host: "x\\r\\nX-Inject: y"', "1:7 «host»: invalid host name 'x\\r\\nX-Inject: y' | write a host name or an IP address, without a port"),
        ("host: 'a.example.com:5060'", "1:7 «host»: invalid host name 'a.example.com:5060' | write a host name or an IP address, without a port"),
        ("host: '::1'", "1:7 «host»: an IPv6 address stands in brackets: '[::1]' | write a host name or an IP address, without a port"),
        ("limits: {drain: 99999999999999h}", "1:17 «drain»: 99999999999999h is out of range | give 0s to 24h"),
        ("limits: {tcp_idle: 5ms}", "1:20 «tcp_idle»: 5ms is out of range | give 1s to 24h"),
        ("limits: {calls: 5000000}", "1:17 «calls»: 5000000 is greater than the maximum of 1000000 | "),
        ("timers: {t1: 500}", "1:14 «t1»: 500 has no unit | write 500ms or 500s"),
        ("timers: {t1: 0.5}", "1:14 «t1»: 0.5 has no unit | write 0.5ms or 0.5s"),
        ("limits: {drain: 20}", "1:17 «drain»: 20 has no unit | write 20ms or 20s"),
        ("routes: [{target: tel:1}]", "1:19 route 1: target 'tel:1' is not a sip: URI | write sip:host, or sip:user@host:port"),
        ("routes: [{reject: 200}]", "1:19 route 1: reject takes a status from 300 to 699, not 200 | "),
        ("routes: [{target: sip:a, reject: 404}]", "1:10 route 1: give either target or reject | "),
        ("routes: [{targt: sip:a}]", "1:11 entry 1 of «routes» has no key 'targt' | did you mean target?"),
        ("routes: [{target: sip:a}, {uri: x, target: sip:b}]", "1:27 route 2 is never reached | the route at line 1 takes every call; move it to the end"),
        ("timers: {t1: soon}", "1:14 «t1»: 'soon' where a duration is needed | write 500ms, 2.1s, 3m or 1h"),
        ("limits: {calls: 0}", "1:17 «calls»: 0 is less than the minimum of 1 | "),
        ("limits: {calls: many}", "1:17 «calls» must be a whole number, not 'many' | "),
        ("limits: {drain: -1}", "1:17 «drain»: '-1' where a duration is needed | write 500ms, 2.1s, 3m or 1h"),
        ("log: {level: loud}", "1:14 «level» cannot be 'loud' | known: debug, error, info, warning"),
        ("log: {level: info, level: debug}", "1:20 key 'level' is written twice | it stands at 1:7 already; keep one of the two"),
        ("- listen", "1:1 the configuration must be a mapping, not a list | "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_its_mend(text, told):
    assert problems(text) == [told]


def test_all_mistakes_are_told_at_once():
    found = problems("listne: []\nlimits: {calls: 0, drain: soon}\nroutes: [{target: tel:1}, {target: tel:2}]\nlog: {level: x}\n")
    assert [text.split()[0] for text in found] == ["1:1", "2:17", "2:27", "3:19", "3:36", "4:14"]


def test_mistakes_of_the_file_its_settings_and_its_tables_are_told_at_once(tmp_path):
    (tmp_path / "o.yaml").write_text("calltable: 1\noverlay: leg/uac\nremove: [uac.nosuch]\n", encoding="utf-8")
    path = tmp_path / "c.yaml"
    path.write_text("routes: [{target: tel:1}]\noverlays: [o.yaml, gone.yaml]\ntimers: {t1: 500, no_answer: 1ms}\nlog: {level: x}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    found = [f"{one.position.file.rpartition('/')[2]}:{one.position.line}:{one.position.column}" for one in every_problem(caught.value)]
    assert found == ["c.yaml:1:19", "c.yaml:2:20", "c.yaml:3:14", "c.yaml:3:30", "c.yaml:4:14", "o.yaml:3:10"]


def test_what_is_wrong_in_a_route_is_told_beside_what_has_no_shape():
    found = problems(
        "host: 7\nroutes:\n  - {uri: '(', targt: sip:a}\n  - {source: '[', header: {A: '*'}, target: 'sips:a', reject: x}\n"
    )
    assert [text.split(" |")[0] for text in found] == [
        "1:7 «host» must be a text, not '7'",
        "3:11 route 1: invalid uri pattern '(': missing )",
        "3:16 entry 1 of «routes» has no key 'targt'",
        "4:14 route 2: invalid source pattern '[': missing ]",
        "4:27 route 2: invalid header A pattern '*': no argument for repetition operator",
        "4:45 route 2: target 'sips:a': TLS is not supported yet",
        "4:63 «reject» must be a whole number, not 'x'",
    ]


@pytest.mark.parametrize("target", ["sip:{user}@{host}:{port};transport={how}", "sip:{host};transport=TCP", "sip:[::1]:5070"])
def test_a_target_that_can_be_called_is_taken(target):
    groups = r"(?P<host>.)(?P<port>.)(?P<how>.)"
    assert parse_config(f"routes: [{{uri: '{groups}', target: '{target}'}}]").routes[0].target == target


@pytest.mark.parametrize("host", ["a", "b2bua.example.com", "my_host", "192.0.2.1", "[2001:db8::1]", "example.com."])
def test_a_host_is_a_name_or_an_address(host):
    assert parse_config(f"host: '{host}'").host == host


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_is_told_what_a_configuration_says_at_least(text):
    assert problems(text) == [
        "1:1 the file is empty | a configuration says at least where calls go: «routes: [{target: 'sip:127.0.0.1:5070'}]»"
    ]


CATALOGUE = """\
calltable: 1
catalogue: example/settings
include: [sip, route]
config:
  polite:   {type: bool, default: true, doc: Say good-bye}
  tries:    {type: int, default: 3, doc: So often}
  greeting: {type: string?, default: null, doc: What is said}
  colour:   {type: enum, values: [red, blue], default: red, doc: The colour}
  pause:    {type: duration, default: 3s, doc: The pause}
"""


def loaded(tmp_path, text):
    """The tables of a configuration with a catalogue of one's own."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE, encoding="utf-8")
    return parse_config(f"tables: [catalogue.yaml]\n{text}", str(tmp_path / "c.yaml")).load_tables()


def test_settings_of_any_type_are_taken(tmp_path):
    tables = loaded(tmp_path, "settings: {polite: false, tries: 0, greeting: good morning, colour: blue, pause: 250ms}\ntimers: {t1: 1s}\n")
    wanted = {"polite": False, "tries": 0, "greeting": "good morning", "colour": "blue", "pause": 0.25, "t1": 1.0, "t2": 4.0}
    assert {name: tables.config[name] for name in wanted} == wanted


def test_a_program_gives_settings_as_values():
    assert Config(settings={"t1": 1, "no_answer": "30s"}, timers={"t2": 2.0}).load_tables().config["no_answer"] == 30.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timers: {t1: 0s}", "2:14 «t1»: '0s' is out of range: it may be 10ms to 10s | write a value within these bounds"),
        ("timers: {closing: 0}", "2:19 «closing»: '0s' is out of range: it may be 100ms to 24h | write a value within these bounds"),
        ("timers: {no_answer: 99999999999999h}", "2:21 «no_answer»: '99999999999999h' is out of range: it may be 100ms to 24h | write a value within these bounds"),
        ("settings: {timer_k: 25h}", "2:21 «timer_k»: '25h' is out of range: it may be 10ms to 15m | write a value within these bounds"),
        ("timers: {t1: 5s}", "2:14 t1 (5s) is longer than t2 (4s): intervals between retransmissions grow from T1 to T2, RFC 3261 §17.1.2.2 | make t1 shorter, or t2 longer"),
        ("settings: {timer_l: 15s}", "2:21 owed_ack (20s) is longer than timer_l (15s): the INVITE server transaction has to outlive the wait for an answer, RFC 6026 §8.7 | make owed_ack shorter, or timer_l longer"),
        ("settings: {pause: 3}", "2:19 «pause»: 3 has no unit | write 3ms or 3s"),
        ("timers: {polite: 3s}", "2:10 polite is not a time: it is of type bool | write it under «settings:»"),
        ("settings: {poli: true}", "2:12 unknown setting 'poli' | did you mean polite?"),
        ("settings: {polite: 3}", "2:20 «polite»: '3' where a bool is needed | write true or false"),
        ("settings: {tries: often}", "2:19 «tries»: 'often' where an int is needed | write a whole number"),
        ("settings: {greeting: true}", "2:22 «greeting»: 'true' where a string? is needed | put it in quotes"),
        ("settings: {colour: green}", "2:20 «colour»: 'green' is not one of red, blue | known: blue, red"),
        ("settings: {pause: -1}", "2:19 «pause»: '-1' where a duration is needed | write 500ms, 2.1s, 3m or 1h"),
        ("settings: {t1: 1s}\ntimers: {t1: 2s}", "2:12 t1 is also set under «timers:» | keep one of the two"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_told_with_its_place(tmp_path, text, told):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    (one,) = caught.value.problems
    assert f"{one.position.line}:{one.position.column} {one.message} | {one.hint}" == told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"listen": "udp:127.0.0.1:5060"}, r"listen takes a tuple of Address, not 'udp:127.*write listen=\(Address.parse"),
        ({"listen": ("udp:127.0.0.1:5060",)}, "listen takes a tuple of Address"),
        ({"listen": Address("udp", "127.0.0.1", 5060)}, "listen takes a tuple of Address"),
        ({"routes": Route(reject=404)}, r"routes takes a tuple of Route, .*write routes=\(Route\(…\),\)"),
        ({"overlays": "busy.yaml"}, "overlays takes a tuple of Path"),
    ],
)
def test_a_program_that_gives_one_for_many_is_told(given, told):
    with pytest.raises(TypeError, match=told):
        Config(**given)


def test_a_program_that_gives_no_host_is_told():
    with pytest.raises(ValueError, match="invalid host name"):
        Config(host="x\r\nX-Inject: y")


def test_an_overlay_that_is_not_there_is_told(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(ROUTES + "overlays: [busy.yaml]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"c\.yaml:2:12: there is no {tmp_path}/busy\.yaml"):
        read_config(path)


def test_broken_yaml_is_told_in_words():
    assert "a list that begins with «[» is not closed" in problems("listen: [udp:127.0.0.1:1\n")[0]


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"host: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_config(path)


OVERLAY = """\
calltable: 1
overlay: leg/uac
doc: Less.
remove: [{row}]
"""


def test_an_overlay_that_opens_a_hole_does_not_load(tmp_path):
    (tmp_path / "o.yaml").write_text(OVERLAY.format(row="leg.reinviting.update"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(ROUTES + "overlays: [o.yaml]\n", encoding="utf-8")
    read_config(tmp_path / "c.yaml").load_tables()
    (tmp_path / "o.yaml").write_text(OVERLAY.format(row="uac.unanswered.hangup"), encoding="utf-8")
    with pytest.raises(TableError, match=r"user\.hangup"):
        read_config(tmp_path / "c.yaml").load_tables()


def test_a_table_of_ones_own_stands_before_the_shipped_one_and_the_rest_is_shipped(tmp_path):
    text = (tables.files() / "b2bua" / "bridge.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("id: bridge.start", "id: bridge.begin"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(ROUTES + "tables: [mine.yaml]\n", encoding="utf-8")
    loaded = read_config(tmp_path / "c.yaml").load_tables()
    assert "bridge.begin" in loaded.machines["b2bua/bridge"].model.rows
    assert {"transaction/invite_server", "leg/stray"} <= set(loaded.machines)


def test_the_shipped_schema_is_the_one_that_is_used():
    shipped = (tables.files() / "schema" / NAME).read_text(encoding="utf-8")
    assert shipped == schema_text(), "run: python -m calltable.server.config_schema"


def test_the_schema_is_one_and_takes_the_whole_configuration():
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(read_source(WHOLE, "c.yaml").data())


def test_every_setting_of_the_schema_says_what_it_is():
    def undescribed(node: object, path: str = "") -> list[str]:
        if not isinstance(node, dict):
            return []
        found = [f"{path}/{name}" for name, one in node.get("properties", {}).items() if not one.get("description")]
        return found + [bad for name, one in node.items() for bad in undescribed(one, f"{path}/{name}")]

    assert undescribed(json.loads(Path(tables.files() / "schema" / NAME).read_text(encoding="utf-8"))) == []


def test_a_predicate_without_a_function_is_told_where_it_is_called():
    examples = Path(__file__).parents[3] / "docs" / "examples"
    with pytest.raises(TableError, match=r"unwanted\.yaml:\d+:\d+: the guard calls the predicate unwanted, and no function was given for it") as caught:
        Config(tables=(examples / "callers.yaml",), overlays=(examples / "unwanted.yaml",)).load_tables()
    assert len(caught.value.problems) == 1
