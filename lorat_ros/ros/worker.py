# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that always works on the newest item, and a slot that holds just that one.

However slow the work is, an item is never older than the work on the one before it: what arrives
meanwhile replaces what waits. The executor stays free for services.
"""
from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Generic, Optional, TypeVar

from lorat_ros.ros.threads import tell_name

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """One slot: putting replaces, taking waits.

    Two plain locks, as one item a frame is handed over: a condition's Python costs ten times as
    much. One is held while there is nothing to take.
    """

    def __init__(self) -> None:
        self._guard, self._empty = threading.Lock(), threading.Lock()
        self._empty.acquire()
        self._item: Optional[Item] = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave an item. Returns True if one that nobody had taken was replaced by it."""
        with self._guard:
            if self._closed:
                return False
            replaced, self._item = self._item is not None, item
            if not replaced:
                self._empty.release()
        return replaced

    def take(self) -> Optional[Item]:
        """Wait for an item and take it; None once the mailbox is closed."""
        self._empty.acquire()
        with self._guard:
            if self._closed:
                self._empty.release()   # for whoever else waits
                return None
            item, self._item = self._item, None
        return item

    def close(self) -> bool:
        """Let the taker go home. Returns True if something lay here, which is not delivered."""
        with self._guard:
            left, self._item = self._item is not None, None
            if not self._closed and not left:
                self._empty.release()
            self._closed = True
        return left


class Worker(Generic[Item]):
    """Runs ``work`` on the newest item, one after the other, in a thread of its own.

    An exception in ``work`` is handed to ``on_error`` and ends nothing but that item; one in
    ``on_error`` itself is printed.

    :param niceness: how far it stands back behind other threads, 0 (not at all) to 19; Linux only.
    """

    def __init__(self, work: Callable[[Item], None], on_error: Callable[[Exception], None],
                 name: str = 'tracking', niceness: int = 0) -> None:
        self._work, self._on_error, self._niceness = work, on_error, niceness
        self._mailbox: Mailbox[Item] = Mailbox()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, item: Item) -> bool:
        """Hand over an item. Returns True if one that was still waiting was dropped for it."""
        return self._mailbox.put(item)

    def stop(self) -> bool:
        """
        Finish the item at hand and end the thread; nothing is worked on after this returns.

        Returns True if one that was still waiting was dropped.
        """
        left = self._mailbox.close()
        self._thread.join()
        return left

    def _run(self) -> None:
        tell_name()
        if self._niceness and sys.platform == 'linux':   # elsewhere it is of the whole process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (item := self._mailbox.take()) is not None:
            try:
                self._work(item)
            except Exception as error:  # one bad frame must not end the node
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:  # nor must the complaint about it
            traceback.print_exc()
