# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat evaluate --disturb``: is the life of a target honest when it is hidden and jumps?

What is measured is what the node would publish: the same ``Target`` with the model's thresholds
and the node's defaults, frame by frame, at 30 frames per second.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from lorat_ros.boxes import iou_xywh, roc_area
from lorat_ros.target.reacquire import suitable_way
from lorat_ros.target.status import TargetState, TargetStatus
from lorat_ros.target.target import Target
from lorat_ros.tools.disturb import disturbed, Event, events_of
from lorat_ros.tools.sequences import Clip
from lorat_ros.tracking.tracker import Tracker

FPS = 30.0
COAST_SECONDS = 0.5     # the node's default
WRONG = 0.1             # a published box with less overlap is of something else
RIGHT = 0.5             # one with more is of the target
REPORT_IN = round(0.5 * FPS)      # frames
RETURN_IN = round(2.0 * FPS)
REPEATS = 8             # so often a sequence is played: events go once through their period
NORMAL_95 = 1.96        # standard deviations: so far to either side lie 95 % of what is normal


@dataclass(frozen=True)
class Life:
    """What was said of a target in one disturbed sequence of n frames, and what was so."""

    tracking: np.ndarray    # (n,) bool: a box was published as measured
    overlap: np.ndarray     # (n,) of the published box with the truth; 0 without one
    raw: np.ndarray         # (n,) of what the tracker said, believed or not
    score: np.ndarray       # (n,) of that
    visible: np.ndarray     # (n,) bool: the target can be seen
    known: np.ndarray       # (n,) bool: it is known where it is, or that it is hidden
    returned: int           # how often it was found again elsewhere than the tracker looked
    events: tuple[Event, ...]

    @property
    def wrong(self) -> np.ndarray:
        """(n,) bool: a box was published that is not of the target."""
        return self.tracking & self.known & (~self.visible | (self.overlap < WRONG))


@dataclass(frozen=True)
class Tally:
    """Counts over sequences: of how many, and how many of these."""

    frames: int = 0
    wrong: int = 0          # a wrong box was published
    losses: int = 0
    reported: int = 0       # of those, half a second later no wrong box was published
    absences: int = 0
    back: int = 0           # of those, tracked within two seconds of coming back
    good: int = 0           # frames in which the tracker's own box overlaps by more than RIGHT
    kept: int = 0           # of those, published as tracking

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, field.name) + getattr(other, field.name)
                       for field in fields(self)))


def live(target: Target, clip: Clip, repeat: int, progress: Callable[[], object]) -> Life:
    """
    Let a target live through a sequence with everything that happens to it.

    :param repeat: see ``disturb.events_of``.
    :param progress: called after every frame.
    """
    rows = []
    for number, frame in enumerate(disturbed(clip.frames(), clip.truth, repeat)):
        step = target.step(frame.image, 1 / FPS) if number else \
            target.start(frame.image, clip.init_box)
        published, said = (0.0 if box is None else float(iou_xywh(np.array(box), frame.truth))
                           for box in (step.box, step.said))
        known = bool(np.isfinite(frame.truth).all())
        rows.append((step.state is TargetState.TRACKING, published, said, step.score,
                     frame.visible, known, step.returned_by not in ('', 'tracker')))
        progress()
    tracking, overlap, raw, score, visible, known, elsewhere = np.array(rows, float).T
    return Life(tracking > 0, overlap, raw, score, visible > 0, known > 0, int(elsewhere.any()),
                tuple(events_of(len(rows), repeat)))


def tally_of(life: Life) -> Tally:
    """Count what a life was like; the frame on which the target was shown does not count."""
    wrong, right = life.wrong, life.tracking & (life.overlap > RIGHT) & life.visible
    good = life.visible & (life.raw > RIGHT)
    losses, reported = _losses(life, wrong)
    absences, back = _returns(life, right)
    return Tally(int(life.known[1:].sum()), int(wrong[1:].sum()), losses, reported, absences, back,
                 int(good[1:].sum()), int((good & life.tracking)[1:].sum()))


def _losses(life: Life, wrong: np.ndarray) -> tuple[int, int]:
    """
    How often the target was lost, and how often that was said in time.

    Lost it is whenever it is hidden for longer than ``REPORT_IN``, and wherever a wrong box is
    published while it is to be seen. In time: no wrong box is published ``REPORT_IN`` frames on.
    """
    losses = reported = 0
    for event in life.events:
        at = event.start + REPORT_IN
        if event.kind == 'hidden' and at < min(event.end, len(wrong)) and life.known[at]:
            losses += 1
            reported += not wrong[at]
    for start, end in _runs(wrong & life.visible):
        losses += 1
        reported += end - start <= REPORT_IN
    return losses, reported


def _returns(life: Life, right: np.ndarray) -> tuple[int, int]:
    """How often the target came back from being hidden or far away, and was found."""
    absences = back = 0
    for event in life.events:
        after = slice(event.end, event.end + RETURN_IN)
        found = right[after].any()
        shown = life.visible[after]
        # Followed through a jump it was never away; one that is seen for a moment only, nobody
        # can be expected to find.
        away = event.end < len(right) and (event.kind == 'hidden' or not right[event.end])
        if away and (found or (len(shown) == RETURN_IN and shown.mean() > 0.5)):
            absences += 1
            back += bool(found)
    return absences, back


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(int), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def run_disturbed(tracker: Tracker, clips: Sequence[Clip], reacquire: str, repeats: int = 1,
                  progress: Callable[[], object] = lambda: None) -> list[list[Life]]:
    """Let the model follow the target of every clip so often, with the node's defaults."""
    bundle, lives = tracker.bundle, []
    way = suitable_way(reacquire, bundle.manifest)
    for clip in clips:
        lives.append([live(Target(tracker, TargetStatus(
            bundle.score_lost, bundle.score_recover, COAST_SECONDS, bundle.return_frames),
            way), clip, repeat, progress) for repeat in range(repeats)])
    return lives


def figures_of(lives: Iterable[Life]) -> dict[str, float]:
    """Return the shares in [0, 1] that the table shows, nan where there is nothing to share."""
    lives = list(lives)
    total = sum(map(tally_of, lives), Tally())
    score = np.concatenate([life.score[1:][life.known[1:]] for life in lives])
    good = np.concatenate([(life.visible & (life.raw > RIGHT))[1:][life.known[1:]]
                           for life in lives])
    return {'frames': total.frames, 'wrong': _share(total.wrong, total.frames),
            'losses': total.losses, 'reported': _share(total.reported, total.losses),
            'absences': total.absences, 'back': _share(total.back, total.absences),
            'good': total.good, 'kept': _share(total.kept, total.good),
            'roc_area': roc_area(score, good)}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')


def wilson(share: float, count: int) -> tuple[float, float]:
    """
    Where a share really lies, 95 % sure, by so many events: Wilson's interval (JASA, 1927).

    It takes the events for independent of each other; those of one sequence are so in part only.
    """
    if not count:
        return 0.0, 1.0
    spread = NORMAL_95 ** 2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


#: Key of the share and of its count, what it is, the goal, and whether each one counted is an
#: event of its own; frames are not, the next one is mostly like the last.
TABLE = (
    ('wrong', 'frames', 'frames with a wrong box published as tracking', 'under 2 %', False),
    ('reported', 'losses', 'losses reported within 0.5 s', 'over 95 %', True),
    ('back', 'absences', 'targets tracked within 2 s of coming back', 'over 80 %', True),
    ('kept', 'good', 'frames with overlap > 0.5 published as tracking', 'over 95 %', False),
)


def text_of(names: Sequence[str], lives: Sequence[Sequence[Life]], label: str) -> str:
    """Return the table, and a line for every sequence, of all its lives."""
    everything = [life for several in lives for life in several]
    total, repeats = figures_of(everything), len(everything) // max(len(lives), 1)
    lines = [f'{label}: {len(lives)} sequences, targets hidden and views that jump; each '
             f'played {repeats} x',
             '']
    for share, count, what, goal, is_event in TABLE:
        low, high = wilson(total[share], int(total[count]))
        within = f'{100 * low:.0f} .. {100 * high:.0f} %' if is_event else ''
        lines.append(f'  {what:<50} {100 * total[share]:6.1f} %  of {int(total[count]):6d}   '
                     f'{goal:<10} {within}'.rstrip())
    lines += ['', f'  area under the ROC curve, score against overlap > 0.5: '
              f'{total["roc_area"]:.3f}', '',
              f'  {"sequence":<24} {"wrong":>7} {"reported":>9} {"back":>7} {"kept":>7}']
    for name, one in zip(names, map(figures_of, lives)):
        shares = (one[key] for key in ('wrong', 'reported', 'back', 'kept'))
        lines.append(f'  {name:<24} ' + ' '.join(
            f'{"-" if share != share else f"{100 * share:.1f}":>{width}}'
            for share, width in zip(shares, (7, 9, 7, 7))))
    return '\n'.join(lines)
