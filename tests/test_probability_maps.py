"""Score → probability: which method is chosen, on which rows, and how sure it is."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from mlhooks import calibration, probability_maps
from mlhooks.calibration import sigmoid
from mlhooks.probability_maps import ProbabilityMap


def rng(seed=0):
    return np.random.default_rng(seed)


def stream(n, log_odds, *, seed=0):
    """Scores, and labels that follow `log_odds` of them."""
    x = rng(seed).normal(0, 2, n)
    return x, (rng(seed + 1).random(n) < sigmoid(log_odds(x))).astype(float)


def bent(x):
    """Rises, stands still, rises: no line fits it."""
    return np.where(x < -1, 3 * (x + 1), np.where(x > 1, 3 * (x - 1), 0.0)) - 1.5


CURVES = {
    "temperature": lambda x: 0.4 * x,
    "platt": lambda x: 1.5 * x - 2.5,
    "isotonic": bent,
}


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_method_that_fits_is_chosen(method):
    found = probability_maps.choose(*stream(6000, CURVES[method]), rng=rng())
    assert found.method == method
    assert min(found.about["losses"], key=found.about["losses"].get) == method


def test_a_temperature_is_as_good_as_a_line_where_the_offset_is_none():
    x, y = stream(6000, CURVES["temperature"])
    found = probability_maps.of_temperature(x, y, np.ones_like(x))
    assert found.line.slope == pytest.approx(0.4, abs=0.03)
    losses = probability_maps.choose(x, y, rng=rng()).about["losses"]
    assert losses["temperature"] == pytest.approx(losses["platt"], abs=1e-3)


def test_the_choice_lowers_the_calibration_error():
    x, y = stream(8000, bent)
    new, truth = stream(20_000, bent, seed=5)
    line = probability_maps.of_platt(x, y, np.ones_like(x))
    chosen = probability_maps.choose(x, y, rng=rng())
    assert calibration.ece(chosen.probability(new), truth) < 0.02
    assert calibration.ece(line.probability(new), truth) > 0.03


def test_few_labels_are_platts_without_a_contest():
    x, y = stream(60, bent)
    found = probability_maps.choose(x, y, rng=rng())
    assert (found.method, found.about["losses"]) == ("platt", {})
    assert found.line == calibration.platt(x, y)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_a_map_never_turns_a_ranking_round(method):
    x, y = stream(3000, CURVES[method])
    made = getattr(probability_maps, f"of_{method}")(x, y, np.ones_like(x))
    p = made.log_odds(np.linspace(-30, 30, 5001))
    assert (np.diff(p) > 0).all()


def test_pooling_is_scikit_learns():
    values = [0.1, 0.3, 0.2, 0.25, 0.6, 0.5, 0.9]
    sizes = [5.0, 2.0, 8.0, 1.0, 3.0, 3.0, 4.0]
    at = np.arange(7.0)
    peer = IsotonicRegression().fit(at, values, sample_weight=sizes).predict(at)
    found = probability_maps._pooled(list(zip(at, values, sizes, strict=True)))
    assert [mean for _, mean, _ in found] == pytest.approx(np.unique(peer))


def test_saved_and_read_it_is_the_same():
    made = probability_maps.choose(*stream(6000, bent), rng=rng())
    again = ProbabilityMap.from_json(made.as_json())
    assert again == made


def test_steepness_is_the_slope_between_the_knots():
    made = ProbabilityMap(
        "isotonic",
        calibration.Platt(3.0, 0.0),
        (0.0, 0.0, 0.0),
        ((0.0, -1.0, 0.5), (2.0, 1.0, 0.1)),
    )
    assert made.steepness([-1.0, 1.0, 5.0]).tolist() == [3.0, 1.0, 3.0]
    assert made.log_odds([-1.0, 1.0, 5.0]).tolist() == [-4.0, 0.0, 10.0]
    assert made.error([1.0]).tolist() == [0.3]


@pytest.mark.parametrize("weighted", [False, True])
def test_its_errors_are_as_large_as_maps_differ(weighted):
    """A hundred samples: the spread of their log-odds at three scores is what each claims."""
    at = np.array([-2.0, 0.0, 2.0])
    said, claimed = [], []
    for seed in range(100):
        x, y = stream(4000, CURVES["platt"], seed=2 * seed)
        chance = np.where(x > 0, 0.4, 0.05) if weighted else np.full(x.shape, 0.1)
        kept = rng(seed).random(x.size) < chance
        made = probability_maps.of_platt(x[kept], y[kept], 1 / chance[kept])
        said.append(made.log_odds(at))
        claimed.append(made.error(at))
    ratio = np.mean(claimed, axis=0) / np.std(said, axis=0)
    assert ratio == pytest.approx(1.0, abs=0.35)


def test_weights_make_it_true_of_the_stream_they_were_drawn_from():
    x, y = stream(20_000, CURVES["platt"])
    chance = np.where(y == 1, 0.5, 0.05)  # violations ten times as often
    kept = rng(13).random(x.size) < chance
    made = probability_maps.choose(x[kept], y[kept], weights=1 / chance[kept], rng=rng())
    assert calibration.ece(made.probability(x), y) < 0.02


def test_enough_of_the_random_lane_is_all_that_counts():
    x, y = stream(4000, CURVES["platt"])
    lie = np.concatenate([y, np.ones(4000)])  # what risk picked is all violating here
    known = np.concatenate([np.full(4000, 3.0), np.full(4000, np.nan)])
    found = probability_maps.fit(np.tile(x, 2), lie, stream=known, rng=rng())
    assert found.map.about["rows"] == "random lane"
    assert found.map.about["n"] == 4000
    assert (found.weights[4000:] == 0).all()
    assert calibration.ece(found.map.probability(x), y) < 0.02


def test_a_little_of_it_sets_the_level_and_is_honest_about_it():
    x, y = stream(12_000, CURVES["platt"])
    kept = (y == 1) | (rng(11).random(x.size) < 0.1)  # log(10) too high
    known = np.where(rng(12).random(x.size) < 0.012, 83.0, np.nan)
    kept |= ~np.isnan(known)
    found = probability_maps.fit(x[kept], y[kept], stream=known[kept], rng=rng()).map
    assert found.about["rows"] == "level"
    assert found.level == pytest.approx(-np.log(10), abs=0.8)
    assert 0.1 < found.level_error < 0.6
    assert abs(found.probability(x).mean() - y.mean()) < 0.05


def test_an_interval_is_wider_the_larger_its_error():
    low, high = probability_maps.interval([0.0, 0.0], [0.1, 1.0])
    # ±.196 and ±1.96 around log-odds of 0
    assert low == pytest.approx([0.451, 0.123], abs=1e-3)
    assert high == pytest.approx([0.549, 0.877], abs=1e-3)
