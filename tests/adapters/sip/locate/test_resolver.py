"""RFC 3263, against a DNS made of dnspython's own answers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from calltable.adapters.sip.locate.hosts import Hosts
from calltable.adapters.sip.locate.resolver import ResolveError, Resolver
from calltable.adapters.sip.transport.address import Address


class Dns:
    """Answers from a zone text: ``name ttl type data`` a line. ``down`` names do not answer."""

    def __init__(self, zone="", down=()):
        self.down, self.asked = set(down), []
        self.records = {}
        for line in filter(None, map(str.strip, zone.splitlines())):
            name, ttl, kind, data = line.split(None, 3)
            self.records.setdefault((name, kind), (int(ttl), []))[1].append(data)

    async def __call__(self, name, kind):
        self.asked.append((name, kind))
        await asyncio.sleep(0)
        if name in self.down:
            raise dns.resolver.LifetimeTimeout(timeout=3.0, errors=[])
        query = dns.message.make_query(name, kind)
        response = dns.message.make_response(query)
        owner = name
        while (owner, "CNAME") in self.records:
            ttl, [target] = self.records[owner, "CNAME"]
            self.add(response, owner, ttl, "CNAME", [target])
            owner = target.rstrip(".")
        if (owner, kind) not in self.records:
            if any(known == owner for known, _ in self.records):
                raise dns.resolver.NoAnswer(response=response)
            raise dns.resolver.NXDOMAIN(qnames=[dns.name.from_text(name)], responses={})
        ttl, data = self.records[owner, kind]
        self.add(response, owner, ttl, kind, data)
        return dns.resolver.Answer(dns.name.from_text(name), dns.rdatatype.from_text(kind), dns.rdataclass.IN, response)

    @staticmethod
    def add(response, owner, ttl, kind, data):
        # find_rrset keeps the message's index; going over the wire format would shuffle the records.
        new = dns.rrset.from_text(f"{owner}.", ttl, "IN", kind, *data)
        response.find_rrset(response.answer, new.name, new.rdclass, new.rdtype, create=True).update(new)


class Time:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n10.9.9.9  pbx.example.net pbx # ours\n2001:DB8::9 pbx.example.net\nbroken line\n")
    return Hosts(path)


@pytest.fixture
def make(hosts):
    def make(zone="", *, down=(), system=None, seed=1, **keywords):
        async def nothing(name):
            raise AssertionError(f"the system was asked for {name}")

        fake = Dns(zone, down)
        time = Time()
        resolver = Resolver(
            query=fake, hosts=hosts, random=random.Random(seed), time=time, system=system or nothing, **keywords
        )
        return resolver, fake, time

    return make


def texts(addresses):
    return [str(address) for address in addresses]


def resolve(resolver, uri):
    return texts(asyncio.run(resolver.resolve(uri)))


ZONE = """
example.com 300 NAPTR 20 50 "s" "SIP+D2U" "" _sip._udp.example.com.
example.com 300 NAPTR 10 50 "s" "SIP+D2T" "" _sip._tcp.example.com.
example.com 300 NAPTR 5 50 "s" "SIPS+D2T" "" _sips._tcp.example.com.
example.com 300 NAPTR 1 50 "u" "E2U+sip" "!^.*$!sip:x@y!" .
_sip._udp.example.com 300 SRV 2 0 5060 b.example.com.
_sip._udp.example.com 300 SRV 1 0 5070 a.example.com.
_sip._tcp.example.com 300 SRV 1 0 5080 a.example.com.
a.example.com 60 A 192.0.2.1
a.example.com 60 A 192.0.2.2
a.example.com 60 AAAA 2001:db8::1
b.example.com 600 A 192.0.2.3
"""


# ---------------------------------------------------------------- without the DNS


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:bob@192.0.2.9", ["udp:192.0.2.9:5060"]),
        ("sip:bob@192.0.2.9:5070;transport=TCP", ["tcp:192.0.2.9:5070"]),
        ("sip:[2001:DB8:0::5]:5062", ["udp:[2001:db8::5]:5062"]),
        ("sip:bob@example.com;maddr=192.0.2.7", ["udp:192.0.2.7:5060"]),
        ("sip:bob@localhost:5070", ["udp:127.0.0.1:5070"]),
        ("sip:a.localhost", ["udp:127.0.0.1:5060", "udp:[::1]:5060"]),
        ("sip:PBX.example.net.", ["udp:10.9.9.9:5060", "udp:[2001:db8::9]:5060"]),
        ("sip:pbx;transport=tcp", ["tcp:10.9.9.9:5060"]),
    ],
)
def test_literals_and_names_the_machine_knows_need_no_waiting(make, uri, expected):
    resolver, fake, _ = make()
    assert texts(resolver.resolve_now(uri)) == expected
    assert resolve(resolver, uri) == expected
    assert fake.asked == []


def test_a_remembered_literal_is_asked_for_again_once_other_listeners_are_there(make):
    resolver, _, _ = make(transports=("udp", "tcp"), versions=(4,))
    uri = "sip:bob@192.0.2.9"
    for _ in range(2):
        assert texts(resolver.resolve_now(uri)) == ["udp:192.0.2.9:5060"]
    resolver.reach(("tcp",), (4,))
    for _ in range(2):
        assert texts(resolver.resolve_now(uri)) == ["tcp:192.0.2.9:5060"]
    resolver.reach(("tcp",), (6,))
    with pytest.raises(ResolveError, match="IPv4 listener"):
        resolver.resolve_now(uri)


def test_the_literals_that_are_remembered_are_bounded_and_each_asker_gets_a_list_of_its_own(make):
    resolver, _, _ = make()
    for number in range(3000):
        resolver.resolve_now(f"sip:{number}@192.0.2.9")
    assert len(resolver._literals) <= 1024
    resolver.resolve_now("sip:2999@192.0.2.9").clear()
    assert texts(resolver.resolve_now("sip:2999@192.0.2.9")) == ["udp:192.0.2.9:5060"]
    long = f"sip:{'x' * 300}@192.0.2.9"
    resolver.resolve_now(long)
    assert long not in resolver._literals


def test_a_changed_hosts_file_is_read_again(tmp_path, make):
    path = tmp_path / "other"
    resolver = Resolver(query=Dns(), hosts=Hosts(path))
    assert resolver.resolve_now("sip:a.example.net") is None
    path.write_text("10.0.0.1 a.example.net")
    assert texts(resolver.resolve_now("sip:a.example.net")) == ["udp:10.0.0.1:5060"]
    path.write_text("10.0.0.22 a.example.net")
    assert texts(resolver.resolve_now("sip:a.example.net")) == ["udp:10.0.0.22:5060"]


@pytest.mark.parametrize("name", ["box", "phone.local"])
def test_names_the_dns_cannot_know_are_asked_of_the_system_as_addresses(make, name):
    async def system(asked):
        assert asked == name
        return ["192.0.2.50", "192.0.2.50", "2001:db8::50"]

    resolver, fake, _ = make(system=system)
    assert resolver.resolve_now(f"sip:{name}") is None
    assert resolve(resolver, f"sip:{name}") == ["udp:192.0.2.50:5060", "udp:[2001:db8::50]:5060"]
    assert fake.asked == []
    assert resolver.resolve_now(f"sip:{name};transport=tcp")[0] == Address("tcp", "192.0.2.50", 5060)


def test_the_real_system_knows_localhost():
    async def main():
        return await Resolver(hosts=Hosts("/nonexistent"))._system("localhost")

    assert {"127.0.0.1", "::1"} & set(asyncio.run(main()))


# ---------------------------------------------------------------- RFC 3263 §4


def test_naptr_then_srv_then_addresses_in_the_order_of_the_records(make):
    resolver, fake, _ = make(ZONE)
    assert resolve(resolver, "sip:bob@example.com") == [
        "tcp:192.0.2.1:5080",
        "tcp:192.0.2.2:5080",
        "tcp:[2001:db8::1]:5080",
        "udp:192.0.2.1:5070",
        "udp:192.0.2.2:5070",
        "udp:[2001:db8::1]:5070",
        "udp:192.0.2.3:5060",
    ]
    assert len(fake.asked) == len(set(fake.asked)) == 1 + 2 + 4


def test_a_port_leaves_out_naptr_and_srv(make):
    resolver, fake, _ = make(ZONE)
    assert resolve(resolver, "sip:a.example.com:5099;transport=tcp")[0] == "tcp:192.0.2.1:5099"
    assert {kind for _, kind in fake.asked} == {"A", "AAAA"}


def test_a_transport_leaves_out_naptr(make):
    resolver, fake, _ = make(ZONE)
    assert resolve(resolver, "sip:example.com;transport=udp")[0] == "udp:192.0.2.1:5070"
    assert "NAPTR" not in {kind for _, kind in fake.asked}


def test_without_naptr_every_transport_of_ours_is_looked_for_in_our_order(make):
    zone = "\n".join(line for line in ZONE.splitlines() if "NAPTR" not in line)
    resolver, _, _ = make(zone, versions=(4,))
    assert resolve(resolver, "sip:example.com") == [
        "udp:192.0.2.1:5070",
        "udp:192.0.2.2:5070",
        "udp:192.0.2.3:5060",
        "tcp:192.0.2.1:5080",
        "tcp:192.0.2.2:5080",
    ]
    resolver, _, _ = make(zone, versions=(4,), transports=("tcp",))
    assert resolve(resolver, "sip:example.com") == ["tcp:192.0.2.1:5080", "tcp:192.0.2.2:5080"]


def test_without_srv_the_name_itself_is_the_host(make):
    resolver, _, _ = make("plain.example.com 60 A 192.0.2.8")
    assert resolve(resolver, "sip:plain.example.com") == ["udp:192.0.2.8:5060"]
    assert resolve(resolver, "sip:plain.example.com;transport=tcp") == ["tcp:192.0.2.8:5060"]


def test_the_preferred_ip_version_comes_first_and_the_missing_one_not_at_all(make):
    assert resolve(make(ZONE, versions=(6, 4))[0], "sip:a.example.com:5060")[0] == "udp:[2001:db8::1]:5060"
    assert resolve(make(ZONE, versions=(6,))[0], "sip:a.example.com:5060") == ["udp:[2001:db8::1]:5060"]
    resolver, fake, _ = make(ZONE, versions=(4,))
    resolve(resolver, "sip:a.example.com:5060")
    assert fake.asked == [("a.example.com", "A")]


def test_aliases_are_followed_and_the_shortest_ttl_counts(make):
    zone = "alias.example.com 20 CNAME a.example.com.\n" + ZONE
    resolver, _, time = make(zone, versions=(4,))
    assert resolve(resolver, "sip:alias.example.com:5060") == ["udp:192.0.2.1:5060", "udp:192.0.2.2:5060"]
    time.now += 19
    assert resolver.resolve_now("sip:alias.example.com:5060") is not None
    time.now += 2
    assert resolver.resolve_now("sip:alias.example.com:5060") is None


def test_srv_weights_share_the_load_and_priority_goes_before_weight(make):
    zone = """
_sip._udp.w.example.com 300 SRV 10 10 5060 one.example.com.
_sip._udp.w.example.com 300 SRV 10 30 5060 three.example.com.
_sip._udp.w.example.com 300 SRV 10 0 5060 zero.example.com.
_sip._udp.w.example.com 300 SRV 20 99 5060 last.example.com.
one.example.com 300 A 192.0.2.1
three.example.com 300 A 192.0.2.3
zero.example.com 300 A 192.0.2.4
last.example.com 300 A 192.0.2.9
"""
    resolver, _, _ = make(zone, versions=(4,))
    uri = "sip:w.example.com;transport=udp"
    resolve(resolver, uri)
    draws = [[address.host for address in resolver.resolve_now(uri)] for _ in range(2000)]
    assert all(len(set(draw)) == 4 and draw[3] == "192.0.2.9" for draw in draws)
    first = Counter(draw[0] for draw in draws)
    # RFC 2782: mark 0 of 0..40 is the record of weight 0, 1..10 and 11..40 are the others.
    assert 10 < first["192.0.2.4"] < 100
    assert 400 < first["192.0.2.1"] < 580
    assert 1350 < first["192.0.2.3"] < 1580


def test_two_resolvers_of_one_seed_draw_alike(make):
    zone = "\n".join(
        f"_sip._udp.w.example.com 300 SRV 1 1 5060 h{n}.example.com.\nh{n}.example.com 300 A 192.0.2.{n}" for n in range(9)
    )
    orders = [[resolve(make(zone, seed=seed)[0], "sip:w.example.com;transport=udp")][0] for seed in (3, 3, 4)]
    assert orders[0] == orders[1] != orders[2]


# ---------------------------------------------------------------- cache


def test_records_are_asked_for_again_only_after_their_ttl(make):
    resolver, fake, time = make(ZONE, versions=(4,))
    first = resolve(resolver, "sip:example.com")
    count = len(fake.asked)
    assert texts(resolver.resolve_now("sip:example.com")) == first
    time.now += 59
    assert resolve(resolver, "sip:example.com") == first
    assert len(fake.asked) == count
    time.now += 2  # the addresses of a have run out, nothing else has
    assert resolver.resolve_now("sip:example.com") is None
    assert resolve(resolver, "sip:example.com") == first
    assert fake.asked[count:] == [("a.example.com", "A")]


def test_many_who_ask_at_once_ask_once(make):
    resolver, fake, _ = make(ZONE)

    async def main():
        return await asyncio.gather(*(resolver.resolve("sip:a.example.com:5060") for _ in range(50)))

    assert len(asyncio.run(main())) == 50
    assert sorted(fake.asked) == [("a.example.com", "A"), ("a.example.com", "AAAA")]


def test_one_who_gives_up_does_not_take_the_answer_from_the_others(make):
    resolver, _, _ = make(ZONE)

    async def main():
        one, two = (asyncio.ensure_future(resolver.resolve("sip:a.example.com:5060")) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        return await two

    assert texts(asyncio.run(main()))[0] == "udp:192.0.2.1:5060"


def test_a_ttl_of_zero_serves_the_call_that_asked(make):
    resolver, fake, _ = make(ZONE.replace(" 300 ", " 0 ").replace(" 60 ", " 0 "))
    assert resolve(resolver, "sip:example.com;transport=tcp")[0] == "tcp:192.0.2.1:5080"
    count = len(fake.asked)
    assert resolver.resolve_now("sip:example.com;transport=tcp") is None
    resolve(resolver, "sip:example.com;transport=tcp")
    assert len(fake.asked) > count


def test_the_cache_is_bounded(make, monkeypatch):
    monkeypatch.setattr("calltable.adapters.sip.locate.resolver._CACHE", 5)
    resolver, _, _ = make(ZONE)
    for n in range(20):
        with pytest.raises(ResolveError):
            resolve(resolver, f"sip:no{n}.example.com:5060")
    assert len(resolver._cache) == 5


# ---------------------------------------------------------------- errors


def test_an_unknown_name_is_said_to_be_so_and_remembered_for_a_while(make):
    resolver, fake, time = make(ZONE)
    with pytest.raises(ResolveError, match=r"resolve sip:nobody\.example\.com: no IPv4 or IPv6 address") as caught:
        resolve(resolver, "sip:nobody.example.com")
    assert not caught.value.temporary
    count = len(fake.asked)
    with pytest.raises(ResolveError):
        resolver.resolve_now("sip:nobody.example.com")
    time.now += 31
    with pytest.raises(ResolveError):
        resolve(resolver, "sip:nobody.example.com")
    assert len(fake.asked) == 2 * count


def test_a_silent_server_is_temporary_and_not_remembered(make):
    resolver, fake, _ = make(ZONE, down={"a.example.com"})
    with pytest.raises(ResolveError, match=r"A of a\.example\.com: The resolution lifetime expired after 3.000 seconds; AAAA of") as caught:
        resolve(resolver, "sip:a.example.com:5060")
    assert caught.value.temporary
    fake.down.clear()
    assert resolve(resolver, "sip:a.example.com:5060")[0] == "udp:192.0.2.1:5060"


def test_a_server_that_swallows_naptr_and_srv_questions_does_not_stop_a_call(make):
    zone = "c.example.com 60 A 192.0.2.8"
    resolver, fake, _ = make(zone, down={"_sip._udp.c.example.com", "_sip._tcp.c.example.com"}, versions=(4,))
    assert resolve(resolver, "sip:c.example.com") == ["udp:192.0.2.8:5060"]
    assert ("c.example.com", "NAPTR") in fake.asked


def test_a_domain_that_declines_the_service_is_believed(make):
    resolver, _, _ = make("_sip._udp.no.example.com 60 SRV 0 0 0 .\nno.example.com 60 A 192.0.2.8")
    with pytest.raises(ResolveError, match="does not offer this service"):
        resolve(resolver, "sip:no.example.com;transport=udp")


def test_a_target_whose_address_is_missing_is_passed_over(make):
    zone = ZONE.replace("a.example.com 60", "gone.example.com 60")
    resolver, _, _ = make(zone)
    assert resolve(resolver, "sip:example.com;transport=udp") == ["udp:192.0.2.3:5060"]


def test_hostile_domains_get_a_bounded_number_of_questions_and_addresses(make):
    zone = "\n".join(f"_sip._udp.big.example.com 60 SRV 1 1 {n + 1} h{n}.big.example.com." for n in range(500))
    zone += "\n" + "\n".join(f"h{n}.big.example.com 60 A 192.0.2.{n % 250}" for n in range(500))
    resolver, fake, _ = make(zone)
    assert len(resolve(resolver, "sip:big.example.com;transport=udp")) == 16
    assert len(fake.asked) == 1 + 2 * 16


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("sips:bob@192.0.2.1", "sips demands TLS, and the transports here are udp, tcp"),
        ("sips:bob@192.0.2.1;transport=udp", "sips excludes transport=udp"),
        ("sip:bob@192.0.2.1;transport=tls", "transport tls is not supported; the transports here are udp, tcp"),
        ("sip:bob@example.com;transport=pigeon", "transport pigeon is not supported"),
        ("tel:+431234", "a tel URI names no host; a route has to say where it goes"),
        ("sip:bob@", "cannot resolve sip:bob@: Malformed sip URI"),
        ("nonsense", "has no scheme"),
    ],
)
def test_what_can_never_be_reached_fails_at_once_with_a_reason(make, uri, why):
    resolver, fake, _ = make(ZONE)
    for attempt in (lambda: resolver.resolve_now(uri), lambda: resolve(resolver, uri)):
        with pytest.raises(ResolveError, match=why) as caught:
            attempt()
        assert not caught.value.temporary
    assert fake.asked == []


def test_a_literal_of_an_ip_version_without_listener_is_refused(make):
    resolver, _, _ = make(versions=(4,))
    with pytest.raises(ResolveError, match="::1 cannot be reached without an IPv6 listener"):
        resolver.resolve_now("sip:[::1]:5060")


def test_with_tls_sips_means_tls_and_no_naptr_of_a_weaker_kind_is_taken(make):
    zone = ZONE + "_sips._tcp.example.com 60 SRV 1 1 5061 b.example.com."
    resolver, _, _ = make(zone, transports=("udp", "tcp", "tls"), versions=(4,))
    assert resolve(resolver, "sips:example.com") == ["tls:192.0.2.3:5061"]
    assert resolve(resolver, "sips:example.com;transport=tcp") == ["tls:192.0.2.3:5061"]
    assert resolve(resolver, "sips:b.example.com:5071") == ["tls:192.0.2.3:5071"]
    assert resolve(resolver, "sips:192.0.2.1") == ["tls:192.0.2.1:5061"]
