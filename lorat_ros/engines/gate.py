# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parity: does one session answer as another does?"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lorat_ros.engines.session import arrays, Handle, Session, Value


class ParitySession:
    """
    Runs two sessions side by side, answers with the first, and notes how far they are apart.

    A tracker on top of it shows both the same real crops. What a stage hands over to another is
    kept by each session for itself and not compared.
    """

    def __init__(self, session: Session, reference: Session) -> None:
        self._both = (session, reference)
        self.engine, self.device = session.engine, session.device
        self.precision = session.precision
        #: What the reference answered last.
        self.reference: dict[str, Value] = {}
        #: '<role>.<output>' to the largest absolute difference so far.
        self.differences: dict[str, float] = {}

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the graph of a role in both; see ``Session.run``."""
        answers = [session.run(role, {name: value.value[k] if isinstance(value, Handle) else value
                                      for name, value in inputs.items()})
                   for k, session in enumerate(self._both)]
        result: dict[str, Value] = {}
        self.reference = answers[1]
        others = arrays(self.reference)
        for name, value in answers[0].items():
            if isinstance(value, Handle):
                result[name] = Handle((value, self.reference[name]))
                continue
            found = float(np.abs(value.astype(np.float64) - others[name]).max())
            place = f'{role}.{name}'
            # A nan on either side must never pass as agreement.
            self.differences[place] = max(self.differences.get(place, 0.0),
                                          found if np.isfinite(found) else np.inf)
            result[name] = value
        return result

    def close(self) -> None:
        """Give back the memory of both."""
        for session in self._both:
            session.close()
