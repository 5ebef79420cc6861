"""What a mixture can be fitted to, checked before it is; each refusal says what to change."""

import numpy as np

from latentcli.classifiers.checks import InvalidSamples, check_finite
from latentcli.classifiers.mixture.expectation_maximisation import CollapsedComponent, Samples
from latentcli.classifiers.mixture.semi_supervised import Settings
from latentcli.core.errors import FitError


class DegenerateFit(FitError, ValueError):
    """Data that this mixture cannot be fitted to; a ``ValueError`` too, as scikit-learn's contract asks."""


def check_samples(samples: Samples, components: int, classes: int) -> None:
    """Refuse data that no such mixture can be fitted to.

    Args:
        samples: the data.
        components: how many the mixture has, at least.
        classes: how many; 0 without labels.

    Raises:
        DataError: points are not finite, or too large to square.
        FitError: fewer components than classes, fewer samples than components, or all points are the same.
    """
    if not samples.finite:
        check_finite(samples.points)
        raise InvalidSamples("the points are too large: their variance is infinity", None, "scale them down")
    if components < classes:
        found = f"{components} components for {classes} classes"
        raise DegenerateFit("fewer components than classes", found, f"ask for `n_components` of {classes} or more")
    if len(samples) < max(components, 2):
        found = f"n_samples={len(samples)} for {components} components"
        raise DegenerateFit("too few samples for the mixture", found, "give more samples, or ask for fewer components")
    if samples.variances.max() <= (1e-12 * np.abs(samples.origin).max()) ** 2:
        problem = "there is nothing to tell apart: all points are the same"
        remedy = "a model that collapsed, or has hardly been trained, maps every image to one point: train it longer"
        raise DegenerateFit(problem, f"found {len(samples)} of them", remedy)


def collapse_error(collapse: CollapsedComponent, settings: Settings) -> DegenerateFit:
    """The error for a component that collapsed in every start that was tried."""
    which = "a component" if collapse.component is None else f"component {collapse.component}"
    used = f"with covariance_type={settings.covariance_type!r}, reg_covar={settings.reg_covar:g}"
    remedy = "ask for fewer components, increase `reg_covar` or `shrinkage`, or give more samples"
    return DegenerateFit(f"{which} collapsed: {collapse}", used, remedy)
