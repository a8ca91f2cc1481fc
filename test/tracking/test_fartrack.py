# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack before and after its network, and both together, against golden numbers."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from support import goldens
from support.fartrack_checkpoints import tensors_of, write_checkpoint
from support.fartrack_runs import Case, CASES, follow, manifest_of, torch_tracker, Witness
from support.litetrack_golden import bgr_frame, checksum, frame, INIT_BOX, network_input

from lorat_ros.engines.session import open_session, Session
from lorat_ros.models.bundle import Bundle, BundleError, read_bundle
from lorat_ros.networks.fartrack_variants import VARIANTS
from lorat_ros.networks.importing import Clip, import_checkpoint, Imported
from lorat_ros.tracking.family import family_class
from lorat_ros.tracking.fartrack import (expected, FarTrackFamily, kept_tokens, likeliest,
                                         mean_of_both, score_of, softmax)
from lorat_ros.tracking.square_crop import normalise, sample_square, square_around
from lorat_ros.tracking.template_memory import (exponential, exponential_from_front, linear,
                                                TemplateMemory)
from lorat_ros.tracking.tracker import load_tracker, Tracker

E2E, GEOMETRY = 'fartrack/e2e.npz', 'fartrack/geometry.npz'
WHOLE = (1, 2, 3)      # search crops of which the file holds all pixels
UNREAD = 'the published code hands past boxes to a network that does not read them: not built'
TOLERANCE = {'*boxes': 1e-2, '*logits*': 1e-4, '*gap': 1e-4, '*conf': 1e-5}


@pytest.fixture(autouse=True)
def one_thread():
    """Small matrices, and a machine that may be busy: more threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def words(chosen: Iterable[int], height: float = 50.0) -> np.ndarray:
    """Logits (n, 605) that leave no doubt."""
    logits = np.zeros((len(list(chosen)), 605), np.float32)
    logits[np.arange(len(logits)), list(chosen)] = height
    return logits


# -- geometry, decoding, schedule ---------------------------------------------------------------


def test_the_published_geometry_and_schedule():
    golden, image = goldens.read(GEOMETRY), frame(0)
    found = {'frames_crc32': [checksum(frame(k)) for k in range(13)], 'crop_crc32_zx': [],
             'resize_factor_zx': []}
    for k, box in enumerate(golden['boxes'].tolist()):
        plans = [square_around(tuple(box), factor, size)
                 for factor, size in ((2.0, 112), (4.0, 224))]
        template, search = (sample_square(image, plan) for plan in plans)
        found[f'crop_z{k}'] = template
        found[f'crop_x{k}'] = search if k in WHOLE else search[::4, ::4]
        found['crop_crc32_zx'].append([checksum(template), checksum(search)])
        found['resize_factor_zx'].append([plan.scale for plan in plans])
    pixels = normalise(found['crop_z1'][..., ::-1])
    found |= {'norm_slice': pixels[0, :, 50:58, 50:58],
              'norm_l2': [np.linalg.norm(pixels.astype(np.float64))],
              'expect_grid': expected(words(range(600), 1e3)),
              'deq_base': likeliest(words(golden['deq_idx'])),
              'deq_seq_sparse': 2 * mean_of_both(words(golden['deq_idx'], 1e3))
              - expected(words(golden['deq_idx'], 1e3))}
    for name, schedule in (('sparse_exponential', exponential), ('base_exponential', exponential),
                           ('base_linear', linear),
                           ('distill_exponential', exponential_from_front)):
        found[f'sched_{name}'] = [schedule(step) for step in range(1, 31)]
    found['sched_sparse_mask_rows'] = list(mask_rows(30))
    goldens.compare(GEOMETRY, {name: np.asarray(value) for name, value in found.items()},
                    {'norm_l2': 1e-4, '*': 1e-6},
                    {'boxes': goldens.INPUT, 'deq_idx': goldens.INPUT, 'past_*': UNREAD,
                     'train_gt_*': 'targets of training: FARTrack is not trained here'})


def mask_rows(steps: int) -> Iterable[np.ndarray]:
    """Visible tokens after each step, when step f keeps every seventh token from f on."""
    memory = TemplateMemory(1024)
    for step in range(1, steps + 1):
        kept = np.arange(49)[np.arange(49) % 7 == step % 7]
        memory.add(step - 1, kept, exponential(step - 1)[1])      # judged by the frame after it
        row = np.ones(445, bool)
        for slot, number in enumerate(exponential(step)[:-1]):
            row[49 * slot:49 * slot + 49] = np.isin(np.arange(49), memory[memory.nearest(number)])
        yield row


def test_the_sparse_stage_reads_between_two_grids_that_differ():
    # One word beyond doubt: 450.5 / 299 - 0.5 and 450 / 300 - 0.5.
    value = mean_of_both(words([450], 1e3))[0]
    assert value == pytest.approx((450.5 / 299 - 0.5 + 1.0) / 2)
    assert value != pytest.approx(450 / 299 - 0.5, abs=1e-3)


def test_commands_count_for_the_likeliest_word_and_not_for_the_expectation():
    logits = words([300])
    logits[0, 602] = 60.0
    assert likeliest(logits)[0] == pytest.approx(602 / 299 - 0.5)
    assert expected(logits)[0] == pytest.approx(0.5)


def test_the_score_is_a_probability_and_falls_with_any_doubt():
    assert score_of(words([10, 20, 30, 40])) == pytest.approx(1)
    assert score_of(np.zeros((4, 605), np.float32)) == pytest.approx(1 / 605)
    one_unknown = words([10, 20, 30, 40])
    one_unknown[2] = 0
    assert score_of(one_unknown) == pytest.approx(605 ** -0.25)
    special = words([10, 20, 30, 40])
    special[0, 601] = 100.0
    assert score_of(special) < 1e-3
    assert score_of(words([10, 20, 30, 601], 1e4)) == 0


def test_large_logits_do_not_overflow():
    assert softmax(np.array([[3e38, -3e38, 0]], np.float32)).tolist() == [[1, 0, 0]]


def test_the_lowest_ranks_go_and_the_order_stays():
    rank = np.array([0.5, 0.1, 0.4, 0.1, 0.9])
    assert kept_tokens(rank, 3).tolist() == [0, 2, 4]
    assert kept_tokens(rank, 4).tolist() == [0, 2, 3, 4]      # of equal ones the first goes
    assert kept_tokens(rank, 5).tolist() == [0, 1, 2, 3, 4]


# -- the family without a network ---------------------------------------------------------------


class Speaker:
    """A session that always says the same words, and notes what it was asked."""

    engine = device = 'made here'

    def __init__(self, logits: np.ndarray) -> None:
        self.logits, self.asked = logits, []

    def run(self, role: str, inputs: dict) -> dict:
        self.asked.append((role, inputs))
        crops = inputs['templates'] if role == 'first' else inputs['newest']
        # As its tokens, a template gets the number of the frame; as ranks, places backwards.
        tokens = np.full((len(crops), 49, 192), len(self.asked), np.float32)
        tokens[..., 1] = np.arange(49)
        return {'logits': self.logits[None], 'tokens': tokens,
                'rank': -np.arange(49, dtype=np.float32)[None]}

    def close(self) -> None:
        pass


HERE = words([262, 262, 337, 337])      # a box about the size of the target, in the middle


def tracker_with(session: Session, variant: str = 'fartrack-pico',
                 change: Callable[[dict], None] = lambda manifest: None) -> Tracker:
    manifest = manifest_of(variant)
    change(manifest)
    return Tracker(Bundle(Path('made-here'), manifest, {}), session)


def test_the_first_frame_alone_needs_all_templates_embedded():
    session = Speaker(HERE)
    tracker = tracker_with(session)
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 6):
        tracker.update(bgr_frame(index))
    assert [role for role, _ in session.asked] == ['first', *['search'] * 4]
    first, later = session.asked[0][1], session.asked[4][1]
    assert first['templates'].shape == (5, 3, 112, 112)
    np.testing.assert_array_equal(first['templates'][0], first['templates'][4])
    assert later['newest'].shape == (1, 3, 112, 112)
    assert later['memory'].shape == (1, 4, 37, 192) and later['memory'].dtype == np.float32
    # After frame 4 the slots hold templates 0, 1, 2, 2: each known since the frame after it.
    assert later['memory'][0, :, 0, 0].tolist() == [1, 2, 3, 3]
    np.testing.assert_array_equal(later['memory'][0, 0, :, 1], np.arange(37))


def test_the_distilled_stage_begins_with_the_newest_in_the_middle():
    session = Speaker(HERE)
    tracker = tracker_with(session, 'fartrack-distill-pico')
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 6):
        tracker.update(bgr_frame(index))
    assert [role for role, _ in session.asked] == ['first', 'first', 'first', 'search', 'search']


def test_a_new_target_forgets_the_old_one():
    session = Speaker(HERE)
    tracker = tracker_with(session)
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 8):
        tracker.update(bgr_frame(index))
    session.asked.clear()
    tracker.init(bgr_frame(3), (100.0, 60.0, 30.0, 30.0))
    tracker.update(bgr_frame(4))
    fresh = tracker_with(other := Speaker(HERE))
    fresh.init(bgr_frame(3), (100.0, 60.0, 30.0, 30.0))
    fresh.update(bgr_frame(4))
    assert session.asked[0][0] == 'first'
    np.testing.assert_array_equal(session.asked[0][1]['templates'],
                                  other.asked[0][1]['templates'])


def test_starting_one_family_again_forgets_too():
    family = FarTrackFamily(Bundle(Path('made-here'), manifest_of('fartrack-pico'), {}))
    session = Speaker(HERE)
    for _ in range(2):
        assert family.start(bgr_frame(0), INIT_BOX) == {}
        for index in range(1, 4):
            assert family.role == ('first' if index == 1 else 'search')
            inputs = family.look(bgr_frame(index))
            family.answer(session.run(family.role, inputs))
    assert family.slots == exponential(2)


def test_crops_that_are_tokens_by_now_are_not_kept():
    tracker = tracker_with(Speaker(HERE))
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(40):
        tracker.update(bgr_frame(index % 13))
    family = tracker._family
    assert len(family._fresh) <= 2
    tokens = family._memory[0]
    assert tokens.base is None and tokens.nbytes == 37 * 192 * 4


def test_a_thinned_memory_goes_on_tracking():
    def small(manifest: dict) -> None:
        manifest['postprocessing']['capacity'] = 16
    session = Speaker(HERE)
    tracker = tracker_with(session, change=small)
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 120):
        tracker.update(bgr_frame(index % 13))
    family = tracker._family
    assert len(family._memory) <= 16 and family._memory.stride == 8
    wanted = exponential(118)
    assert family.slots[-1] == wanted[-1]
    assert max(abs(a - b) for a, b in zip(wanted, family.slots)) <= 4
    assert session.asked[-1][1]['memory'][0, :, 0, 0].tolist() == [
        number + 1 for number in family.slots[:-1]]


def test_sides_in_the_wrong_order_make_a_small_box_and_no_error():
    tracker = tracker_with(Speaker(words([400, 400, 200, 200])))
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 4):
        result = tracker.update(bgr_frame(index))
        assert min(result.box[2:]) >= 10 and np.isfinite(result.box).all()


def test_commands_for_coordinates_make_a_box_in_the_image():
    tracker = tracker_with(Speaker(words([600, 601, 602, 603])))
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 6):
        result = tracker.update(bgr_frame(index))
        x, y, w, h = result.box
        assert 0 <= x <= 310 and 0 <= y <= 230 and w >= 10 and h >= 10
        assert result.score < 1e-6


def test_what_is_no_number_leaves_the_target_where_it_was():
    session = Speaker(HERE)
    tracker = tracker_with(session)
    tracker.init(bgr_frame(0), INIT_BOX)
    before = tracker.update(bgr_frame(1)).box
    session.logits = np.full((4, 605), np.nan, np.float32)
    result = tracker.update(bgr_frame(2))
    assert result.box == before and result.score == 0
    session.logits = HERE
    assert tracker.update(bgr_frame(3)).score > 0.9


def test_tokens_that_are_no_numbers_are_not_remembered():
    session = Speaker(HERE)
    tracker = tracker_with(session)
    tracker.init(bgr_frame(0), INIT_BOX)
    for index in range(1, 4):
        tracker.update(bgr_frame(index))
    run = session.run
    session.run = lambda role, inputs: {name: np.full_like(value, np.nan)
                                        for name, value in run(role, inputs).items()}
    assert tracker.update(bgr_frame(4)).score == 0
    session.run = run
    for index in range(5, 40):
        assert tracker.update(bgr_frame(index % 13)).score > 0.9
        assert np.isfinite(session.asked[-1][1]['memory']).all()


@pytest.mark.parametrize(('change', 'words'), [
    (lambda post: post.pop('kept'), "'kept'"),
    (lambda post: post.update(schedule='yearly'), "'yearly'"),
    (lambda post: post.update(decoding='loudest'), "'loudest'"),
    (lambda post: post.update(capacity=3), 'capacity is 3'),
])
def test_a_manifest_that_lacks_something_is_refused(change, words):
    manifest = manifest_of('fartrack-pico')
    change(manifest['postprocessing'])
    with pytest.raises(BundleError, match=words):
        family_class(Bundle(Path('made-here'), manifest, {}))


# -- both together ------------------------------------------------------------------------------


def test_the_published_runs():
    found = {}
    for name, case in CASES.items():
        tracker, witness = torch_tracker(case.variant)
        found.update((f'{name}_{key}', value)
                     for key, value in follow(tracker, witness, case).items())
    goldens.compare(E2E, found, TOLERANCE, {'*_seq_input': UNREAD})


def import_official(variant: str, folder: Path) -> Imported:
    """Write the official file that holds a variant, and import it."""
    stage = VARIANTS[variant].stage
    path = write_checkpoint(folder / stage, stage, tensors_of(stage))
    clip = Clip([bgr_frame(index) for index in range(3)], INIT_BOX)
    return import_checkpoint(path, lambda name: folder / name, lambda: clip, variant)


@pytest.fixture(scope='module')
def imported(tmp_path_factory) -> Imported:
    """FARTrack-pico, imported of an official file."""
    return import_official('fartrack-pico', tmp_path_factory.mktemp('imported'))


@pytest.fixture(scope='module')
def bundles(tmp_path_factory, imported) -> Callable[[str], Path]:
    """Make the bundle of a variant of its official file, once."""
    folder, made = tmp_path_factory.mktemp('bundles'), {'fartrack-pico': imported.bundle.path}

    def bundle_of(variant: str) -> Path:
        if variant not in made:
            made[variant] = import_official(variant, folder).bundle.path
        return made[variant]
    return bundle_of


def run_with_onnx(bundle: Path, case: Case) -> dict[str, np.ndarray]:
    bundle = read_bundle(bundle)
    witness = Witness(open_session(bundle, 'onnx'))
    return follow(Tracker(bundle, witness), witness, case)


@pytest.mark.parametrize('size', ['tiny', 'nano', 'pico'])
def test_the_published_runs_with_onnx_runtime(size, bundles):
    cases = [name for name in CASES if name.startswith(f'sparse_{size}')]
    found = {f'{name}_{key}': value for name in cases
             for key, value in run_with_onnx(bundles(f'fartrack-{size}'), CASES[name]).items()}
    others = {f'{name}_*': 'of another model: compared in a case of its own' for name in CASES
              if name not in cases}
    goldens.compare(E2E, found, TOLERANCE, {'*_seq_input': UNREAD, **others})


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize('stage', ['base', 'distill'])
def test_the_published_runs_of_the_stages_before_with_onnx_runtime(stage, bundles):
    name = f'{stage}_tiny'
    found = run_with_onnx(bundles(CASES[name].variant), CASES[name])
    goldens.compare(E2E, {f'{name}_{key}': value for key, value in found.items()}, TOLERANCE,
                    {f'{other}_*': 'of another model: compared in a case of its own'
                     for other in CASES if other != name})


@pytest.mark.parametrize('size', ['tiny', 'nano', 'pico'])
def test_the_published_networks_with_onnx_runtime(size, bundles):
    session = open_session(read_bundle(bundles(f'fartrack-{size}')), 'onnx')
    templates = [network_input(f'template{slot}', (1, 3, 112, 112)) for slot in range(5)]
    outputs = session.run('first', {'image': network_input('search224', (1, 3, 224, 224)),
                                    'templates': np.concatenate(templates)})
    logits = outputs['logits'][0]
    chosen = logits.argmax(-1)
    path = f'fartrack/model_sparse_{size}.npz'
    found = {'feat': logits[:, None], 'seqs': chosen[None],
             'cls': softmax(logits)[np.arange(4), chosen][None],
             'box_argmax': (likeliest(logits) + 0.5 / 299)[None],
             'box_expect': expected(logits)[None], 'box': mean_of_both(logits)[None]}
    rank = goldens.read(path)['full_attn_center_to_templates'][196:]
    np.testing.assert_allclose(outputs['rank'][0], rank, atol=1e-6)
    for percent in (25, 50, 75, 90):
        mask = np.zeros((1, 49), bool)
        mask[0, kept_tokens(outputs['rank'][0], 49 - int(49 * percent / 100))] = True
        found[f'mask{percent}'] = mask
    inside = 'inside of the network: compared through torch'
    goldens.compare(path, {f'full_{name}': value for name, value in found.items()},
                    {'*box*': 1e-6, '*cls': 1e-5, '*': 1e-4},
                    {'masked_*': 'hides another number of tokens than the graphs leave out: '
                     'compared through torch', 'pmask': 'the tokens those hide',
                     'full_attn_center_to_templates': 'of it the graph gives the last 49: '
                     'compared above', 'full_zxs_in*': inside, 'full_b0*': inside,
                     'full_last_*': inside, 'full_xout': inside, 'wemb_cmd_norm_*': inside,
                     '*_crc32': 'of the generated values: compared through torch'})


def test_an_official_file_becomes_a_bundle_that_tracks(imported):
    found = imported.verification.differences
    assert found.keys() == {f'{role}.{name}' for role in ('first', 'search')
                            for name in ('logits', 'tokens', 'rank')}
    assert max(found.values()) < 1e-4
    manifest = imported.bundle.manifest
    assert manifest['variant'] == 'pico' and 'not for commercial use' in manifest['licence']
    assert any('pos_embed_z1 is read' in note for note in manifest['notes'])
    tracker = load_tracker(imported.bundle.path)
    tracker.init(bgr_frame(0), INIT_BOX)
    boxes = [tracker.update(bgr_frame(index)).box for index in range(1, 5)]
    np.testing.assert_allclose(boxes, goldens.read(E2E)['sparse_pico_boxes'][:4], atol=1e-2)


def test_the_torch_engine_reads_the_network_back_from_either_graph(imported):
    tracker = load_tracker(imported.bundle.path, engine='torch')
    tracker.init(bgr_frame(0), INIT_BOX)
    boxes = [tracker.update(bgr_frame(index)).box for index in range(1, 3)]
    np.testing.assert_allclose(boxes, goldens.read(E2E)['sparse_pico_boxes'][:2], atol=1e-2)
