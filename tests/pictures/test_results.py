"""What pictures of results show, and where."""

import numpy as np
import pytest

from latentcli.pictures import results


@pytest.mark.parametrize(("turn", "count", "columns", "shown"), [(2, 100, 12, 96), (5, 100, 10, 100), (4, 7, 12, 7)])
def test_a_column_of_samples_shows_one_class(monkeypatch, tmp_path, turn, count, columns, shown):
    drawn = []
    monkeypatch.setattr(results, "draw", lambda *given: drawn.append(given) or given[1])
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    soft_labels = np.eye(turn)[np.arange(count) % turn]
    results.samples(tmp_path / "samples.png", images, soft_labels, [f"c{each}" for each in range(turn)], turn)
    ((_, _, pictured, of, names, wide, given),) = drawn
    assert (wide, len(pictured), len(names), given) == (columns, shown, turn, None)
    assert [*pictured.ravel() % turn] == [*of.argmax(1)]
    assert sorted(pictured.ravel()) == [*range(shown)]
    rows = [of.argmax(1)[row : row + columns].tolist() for row in range(0, shown, columns)]
    assert all(row == sorted(row) for row in rows)
    assert all(row == rows[0] for row in rows)
