# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a model card, as Markdown."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import yaml

from lorat_ros.training.curves import Curves, SPEEDS
from lorat_ros.training.judging import file_of, Judgement, longest, MOST_FRAMES, WRONG
from lorat_ros.training.origins import KINDS, Origin

SHEET, PICTURE = 'worst.png', 'curves.png'
RECENT = 100        # steps over which a figure is averaged

USE = """Following one thing that was pointed at through the images of one camera. It recognises
nothing: it matches what it was shown. Not meant for identifying or watching people, nor as the
only sense that something's safety depends upon."""


@dataclass(frozen=True)
class Facts:
    """What a card tells of."""

    manifest: Mapping[str, Any]                 # model.json as exported
    recipe: Mapping[str, Any]
    run: Mapping[str, Any]                      # plain facts: hours, versions, starts, …
    files: Mapping[str, str]                    # what it began with: option to name and checksum
    origins: Sequence[Origin]
    held_out: Sequence[Origin]
    names: Mapping[str, Sequence[str]]          # 'held out', 'left out': names as given
    curves: Curves
    clips: Mapping[str, Sequence[Any]]          # the held-out ones
    judgement: Optional[Judgement]
    judging: str                                # the command that repeats the table, if one does


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell).replace('|', '\\|') for cell in line) + ' |'
                     for line in lines)


def what_it_is(facts: Facts) -> str:
    """Family, sizes, what it was begun with."""
    manifest = facts.manifest
    size = sum(e['bytes'] + sum(d['bytes'] for d in e.get('data', ()))
               for e in manifest['graphs'].values())
    began = '; '.join(f'`{option}` {name}' for option, name in facts.files.items())
    return (f'{manifest["family"]}, variant {manifest["variant"]}: '
            f'{manifest["parameters"] / 1e6:.2f} million parameters, {size / 1e6:.1f} MB, '
            f'{manifest["macs"] / 1e9:.2f} GMACs a frame (the search graph; what runs once a '
            f'target is not in it). Trained by `lorat train` with the recipe '
            f'"{facts.run["recipe"]}" '
            + (f'on: {began}.' if began else 'from scratch: no weights of others went in.'))


def data(facts: Facts) -> str:
    """Sources, licences and counts, and what was kept apart."""
    def rows(origins: Sequence[Origin]) -> list[tuple[str, ...]]:
        return [(o.data, o.kind, o.source, o.licence,
                 ', '.join(f'{o.counts[k]} {k}' for k in KINDS if o.counts[k]) or 'nothing')
                for o in origins]
    head = ('data', 'read as', 'source', 'licence as stated there', 'used')
    parts = [table(head, rows(facts.origins))]
    if facts.held_out:
        parts += ['Held out of training, to validate and to judge on: '
                  f'{", ".join(facts.names["held out"])}.', table(head, rows(facts.held_out))]
    else:
        parts.append('Nothing was held out.')
    if facts.names['left out']:
        parts.append(f'Left out altogether: {", ".join(facts.names["left out"])}.')
    if any(o.licence.startswith(('not stated', 'none stated'))
           for o in (*facts.origins, *facts.held_out)):
        parts.append('Where no licence is stated, whoever passes the weights on has to find out '
                     'what it allows.')
    return '\n\n'.join(parts)


def recipe(facts: Facts) -> str:
    """Everything that was set, how it was called, and what it took."""
    run = facts.run
    # Through JSON: YAML has its own idea of tuples.
    values = yaml.safe_dump(json.loads(json.dumps(facts.recipe)), sort_keys=False)
    starts = '\n'.join(f'{s["command"]}      # from step {s["step"]}, processes: {s["processes"]}'
                       for s in run['starts'])
    versions = ', '.join(f'{name} {version}' for name, version in run['versions'].items())
    return (f'{run["steps"]} steps, {run["samples"]} samples in {run["hours"]:.2f} hours of '
            f'training ({run["rate"]:.0f} samples/s on average), {run["processes"]} '
            f'process{"es" if run["processes"] > 1 else ""} on {run["machine"]}, seed '
            f'{facts.recipe["train"]["seed"]}; {versions}. A run that was begun several times '
            f'has a line for each:\n\n```\n{starts}\n```\n\nThe recipe in full, as it was at the '
            f'end:\n\n```yaml\n{values}```')


def training_figures(curves: Curves) -> str:
    """The curves' ends."""
    rows = []
    for name in (n for n in curves.names() if n not in SPEEDS):
        steps, values = curves.of(name)
        count = 1 if name in ('held_out', 'learning_rate') else \
            max(1, min(RECENT, len(values) // 4))
        rows.append((name.replace('_', ' '), f'{np.mean(values[:count]):.4g}',
                     f'{np.mean(values[-count:]):.4g}', f'{values.min():.4g} (step '
                     f'{steps[values.argmin()]})', f'{values.max():.4g} (step '
                                                   f'{steps[values.argmax()]})'))
    return table(('figure', 'at the start', 'at the end', 'least', 'most'), rows)


def scores(facts: Facts) -> str:
    """What was measured."""
    held = facts.curves.of('held_out')[1]
    parts = [f'Training figures, averaged over up to {RECENT} steps at the start and at the '
             'end where there is one a step ("held out": mean overlap in [0, 1] on fixed '
             'samples of the held-out clips):', training_figures(facts.curves),
             f'![training curves]({PICTURE})']
    found = facts.judgement
    if found is None:
        parts.append('**No clip was held out with frames enough to follow a target through'
                     + ('' if len(held) else ', and no held-out figures exist')
                     + ': how well it does on anything that it was not trained on is not known.** '
                     '`--hold-out CLIP` keeps clips apart; `lorat evaluate` measures sequences.')
        return '\n\n'.join(parts)
    clips = list(found.success['plain'])
    rows: list[tuple[object, ...]] = [
        (fault.replace('_', ' '), *(f'{100 * row[c]:.1f}' for c in clips),
         f'{100 * found.mean(fault):.1f}') for fault, row in found.success.items()]
    parts += [f'Followed through held-out clips from their first frame ({found.frames} frames; '
              f'of each at most the first {MOST_FRAMES}), as they are and under faults: success '
              'AUC in percent' + (f' (`{facts.judging}`).' if facts.judging else '.'),
              table(('', *clips, 'mean'), rows)]
    if found.left_out:
        parts.append(f'Not judged, too short or too many: {", ".join(found.left_out)}.')
    area = 'not known, it never lost the target' if np.isnan(found.area) else \
        f'{100 * found.area:.1f}'
    rows = [(what, len(values), *(f'{v:.2f}' for v in np.percentile(values, (5, 25, 50, 75, 95))))
            for what, values in (('it follows the target', found.followed),
                                 ('the target is covered', found.covered),
                                 ('it follows something else', found.elsewhere)) if len(values)]
    parts += [f'Area under the ROC curve of the score, overlap over 0.5 against none, in percent '
              f'(50 is useless): {area}. Scores while', table(
                  ('', 'frames', '5 %', '25 %', '50 %', '75 %', '95 %'), rows),
              f'Mean overlap in the ten frames after the target was covered: {found.after:.2f}.']
    return '\n\n'.join(parts)


def thresholds(facts: Facts) -> str:
    """Where the score is cut, and why there."""
    score = facts.manifest['score']
    said = f'`score.lost` {score["lost"]:g}, `score.recover` {score["recover"]:g}: '
    found = facts.judgement
    if found is not None and found.thresholds() is not None:
        return said + (f'chosen by {len(found.followed)} scores while it followed and '
                       f'{len(found.covered) + len(found.elsewhere)} while the target was covered '
                       'or it followed something else, on the held-out clips. On other footage '
                       'others may be better: the node has parameters for them.')
    why = 'there is no held-out clip to choose them by' if found is None else \
        'the scores on the held-out clips are too few or too much alike to choose them by'
    return said + f"**not calibrated**, the family's own: {why}."


def failures(facts: Facts) -> str:
    """What went wrong on the held-out clips."""
    found = facts.judgement
    if found is None:
        return 'None were looked for: there is no held-out clip to look at.'
    lines = []
    for name in found.worst():
        overlap, items = found.overlaps[name], facts.clips[name]
        wrong = int((overlap <= WRONG).sum())
        first, end = longest(overlap <= WRONG)
        where = f'hardly any overlap (up to {WRONG:g}) on {wrong} of {len(overlap)} frames, the ' \
            f'longest time from {file_of(items, first + 1)} to {file_of(items, end)}' if wrong \
            else f'never without overlap; the least, {overlap.min():.2f}, at ' \
                 f'{file_of(items, int(overlap.argmin()) + 1)}'
        lines.append(f'* {name} (success {100 * found.success["plain"][name]:.1f}): {where}')
    plain = found.mean('plain')
    fault = min((f for f in found.success if f != 'plain'), key=found.mean)
    lines.append(f'* The fault that costs most is {fault.replace("_", " ")}: '
                 f'{100 * found.mean(fault):.1f} on average, {100 * plain:.1f} without.')
    return '\n'.join(lines) + (f'\n\n![worst moments: truth thin and white, what was found in '
                               f'colour]({SHEET})')


def card_of(facts: Facts) -> str:
    """The whole card."""
    parts = ((f'# {facts.manifest["name"]}', what_it_is(facts)),
             ('## Licence of the weights', facts.manifest['licence'] + '.'),
             ('## What it is for', USE), ('## Data', data(facts)), ('## Recipe', recipe(facts)),
             ('## Scores', scores(facts)), ('## Thresholds of the score', thresholds(facts)),
             ('## Known failures', failures(facts)))
    return '\n\n'.join(f'{head}\n\n{text}' for head, text in parts) + '\n'
