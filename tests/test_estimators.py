"""The estimators keep scikit-learn's contract, and read rows of numbers as images."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentcli as lc
from latentcli.core.errors import DataError, UsageError
from latentcli.estimators import LatentClassifier, VAETransformer, images_of_rows, range_of, shape_of_rows

SMALL = {"backbone": "mlp", "width": 16, "batch_size": 16}


def transformer(**more):
    return VAETransformer(**{"latent_dim": 2, "epochs": 2, "settings": SMALL} | more)


def classifier(**more):
    return LatentClassifier(**{"latent_dim": 2, "epochs": 30, "settings": SMALL} | more)


@pytest.mark.slow
@parametrize_with_checks(
    [transformer(), classifier(), classifier(classifier="linear", classifier_settings={"epochs": 20})]
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)
