"""Token buckets: what a rate lets through."""

from __future__ import annotations

import pytest

from calltable.limits.buckets import Bucket


def test_a_full_bucket_gives_its_burst_at_once_and_then_its_rate():
    bucket = Bucket(3, 0.0)
    assert [bucket.take(1, 3, 0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1, 3, 1.0) for _ in range(2)] == [True, False]


def test_a_bucket_never_holds_more_than_its_burst():
    bucket = Bucket(2, 0.0)
    assert [bucket.take(10, 2, 1000.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("rate", "seconds"), [(1, 100), (20, 50), (7, 33)])
def test_over_a_long_time_the_rate_counts(rate: int, seconds: int):
    bucket = Bucket(5, 0.0)
    taken = sum(bucket.take(rate, 5, at / 1000) for at in range(seconds * 1000))
    assert taken == pytest.approx(5 + rate * seconds, abs=1)


def test_a_larger_burst_counts_from_now_on():
    bucket = Bucket(1, 0.0)
    assert bucket.take(1, 1, 0.0)
    assert [bucket.take(1, 10, 20.0) for _ in range(11)] == [True] * 10 + [False]
