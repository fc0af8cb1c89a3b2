"""A store as adapters write one, in a dictionary: it checks versions, holds whole records as JSON, and answers later when it is asked to."""

from __future__ import annotations

import json

from calltable.engine.run.records import plain
from calltable.engine.run.store import Conflict


class Records:
    """Keeps every record as text, so that nothing live can hide in one. ``later``: commits are answered by ``answer``."""

    def __init__(self, encode=None):
        self.kept = {}
        self.waiting = []
        self.later = False
        self.inside = False
        self.encode = encode
        self.commits = []

    def create(self, record, done):
        if record.key in self.kept:
            raise Conflict(f"session {record.key} is kept already")
        self._keep(record)
        return self._answers(record.key, done)

    def commit(self, commit, done):
        if self.inside:
            while self.waiting:  # a full queue is flushed while the next commit comes in
                self.answer()
        key, version = commit.receipt.session, commit.receipt.version
        held = self.kept.get(key)
        if held is None or held["version"] != version - 1:
            said = "nothing" if held is None else f"version {held['version']}"
            raise Conflict(f"session {key}: the step was computed on version {version - 1}, the store holds {said}")
        self._keep(commit.record())
        for child in commit.created:
            self._keep(child)
        self.commits.append(commit)
        return self._answers(key, done)

    def remove(self, key):
        self.kept.pop(key, None)

    def load(self):
        return iter(self.kept.items())

    def __len__(self):
        return len(self.kept)

    def _keep(self, record):
        self.kept[record.key] = json.loads(json.dumps(plain(record, self.encode), allow_nan=False))

    def _answers(self, key, done):
        if self.later:
            self.waiting.append((key, done))
        return not self.later

    def answer(self, error=None):
        key, done = self.waiting.pop(0)
        done(key, error)
