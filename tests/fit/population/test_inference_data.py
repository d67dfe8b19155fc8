"""Draws of a posterior as ArviZ reads them."""

from __future__ import annotations

import warnings

import numpy as np

from respine.fit.population.bayes import inference_data


def test_arviz_reads_the_draws(tmp_path):
    chance = np.random.default_rng(1)
    values, random = chance.normal(size=(2, 50, 3)), chance.normal(size=(2, 50, 4, 1))
    made = inference_data.dataset(
        values, ["CL", "V", "eta_CL"], random, ["eta"], list("abcd"), {"seed": 1, "accept": 0.9}
    )
    path = inference_data.write_dataset(made, tmp_path / "draws.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        found = arviz.from_netcdf(path)
        assert set(arviz.summary(found).index) >= {"CL", "V", "eta_CL", "eta[a]"}
    np.testing.assert_array_equal(found.posterior["V"].values, values[:, :, 1])
    assert list(found.posterior["subject"].values) == list("abcd")
