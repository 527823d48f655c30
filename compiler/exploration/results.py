"""Results on disk: a line of JSON for each point, so that an interrupted run loses nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from calocc.compiler.diagnostics import CaloccError
from calocc.compiler.report import Json


@dataclass(eq=False)
class BadResults(CaloccError):
    """A file that holds no results, or that cannot be written."""

    file: str
    problem: str

    @property
    def where(self) -> str:
        return self.file

    @property
    def what(self) -> str:
        return self.problem

    @property
    def hint(self) -> str:
        return "name another file for the results with -o"


@dataclass
class Results:
    """A file of records, each with a `key`; a later one takes the place of an earlier one."""

    path: Path

    def read(self) -> dict[str, Json]:
        """The records by key; raise BadResults.

        What follows the last end of a line is no record: it was being written when a run was
        killed.
        """
        try:
            text = self.path.read_text() if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise BadResults(str(self.path), f"it cannot be read: {error}") from None
        records: dict[str, Json] = {}
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            try:
                record = json.loads(line)
                records[str(record["key"])] = record
            except (ValueError, KeyError, TypeError):
                raise BadResults(str(self.path), f"line {number} is no result") from None
        return records

    def prepare(self) -> None:
        """Make the file ready to take records: drop a line that was cut short; raise BadResults."""
        try:
            with open(self.path, "ab+") as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        except OSError as error:
            problem = f"it cannot be written: {error.strerror or error}"
            raise BadResults(str(self.path), problem) from None

    def add(self, record: Json) -> None:
        """Append a record, safe on disk before this returns; raise BadResults."""
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            problem = f"it cannot be written: {error.strerror or error}"
            raise BadResults(str(self.path), problem) from None
