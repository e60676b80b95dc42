"""Numbers read off a contingency table or a batch of tables, and the catalogue of all of them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from infolake.measures.agreement import (
    adjusted_mutual_information,
    completeness,
    expected_mutual_information,
    homogeneity,
    information_gain_ratio,
    normalized_information_distance,
    normalized_mutual_information,
    normalized_variation_of_information,
    symmetric_uncertainty,
    uncertainty_coefficient,
    v_measure,
)
from infolake.measures.association import (
    bias_corrected_cramers_v,
    chi_squared,
    chi_squared_p_value,
    contingency_coefficient,
    cramers_v,
    degrees_of_freedom,
    g_p_value,
    g_statistic,
    phi_coefficient,
    power_divergence,
    tschuprows_t,
)
from infolake.measures.catalogue import Measure, get, measures, unit_name
from infolake.measures.cell_tests import adjusted_residual, fisher_exact_log_p, fisher_exact_p
from infolake.measures.cells import (
    chi_squared_contribution,
    collapsed_chi_squared,
    context_smoothed_pointwise_mutual_information,
    contribution,
    dice,
    expected_count,
    g,
    g_contribution,
    jaccard,
    lift,
    log_dice,
    mi_like,
    normalized_pointwise_mutual_information,
    phi_squared,
    phrase_score,
    pointwise_mutual_information,
    poisson_stirling,
    positive_pointwise_mutual_information,
    powered_pointwise_mutual_information,
    root_log_likelihood_ratio,
    shifted_positive_pointwise_mutual_information,
    t_score,
    z_score,
)
from infolake.measures.information import (
    conditional_entropy,
    conditional_mutual_information,
    entropy,
    joint_entropy,
    mutual_information,
    variation_of_information,
)
from infolake.measures.multivariate import (
    co_information,
    dual_total_correlation,
    o_information,
    total_correlation,
)
from infolake.measures.partitions import adjusted_rand_index, fowlkes_mallows_index, rand_index
from infolake.measures.prediction import goodman_kruskal_lambda, goodman_kruskal_tau

if TYPE_CHECKING:
    import pandas as pd


class _Room(ModuleType):
    """The package, which is also the function ``il.measures()``: both bear the name ``infolake.measures``."""

    def __call__(self) -> pd.DataFrame:
        return measures()


sys.modules[__name__].__class__ = _Room

__all__ = [
    "Measure",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "adjusted_residual",
    "bias_corrected_cramers_v",
    "chi_squared",
    "chi_squared_contribution",
    "chi_squared_p_value",
    "co_information",
    "collapsed_chi_squared",
    "completeness",
    "conditional_entropy",
    "conditional_mutual_information",
    "context_smoothed_pointwise_mutual_information",
    "contingency_coefficient",
    "contribution",
    "cramers_v",
    "degrees_of_freedom",
    "dice",
    "dual_total_correlation",
    "entropy",
    "expected_count",
    "expected_mutual_information",
    "fisher_exact_log_p",
    "fisher_exact_p",
    "fowlkes_mallows_index",
    "g",
    "g_contribution",
    "g_p_value",
    "g_statistic",
    "get",
    "goodman_kruskal_lambda",
    "goodman_kruskal_tau",
    "homogeneity",
    "information_gain_ratio",
    "jaccard",
    "joint_entropy",
    "lift",
    "log_dice",
    "measures",
    "mi_like",
    "mutual_information",
    "normalized_information_distance",
    "normalized_mutual_information",
    "normalized_pointwise_mutual_information",
    "normalized_variation_of_information",
    "o_information",
    "phi_coefficient",
    "phi_squared",
    "phrase_score",
    "pointwise_mutual_information",
    "poisson_stirling",
    "positive_pointwise_mutual_information",
    "power_divergence",
    "powered_pointwise_mutual_information",
    "rand_index",
    "root_log_likelihood_ratio",
    "shifted_positive_pointwise_mutual_information",
    "symmetric_uncertainty",
    "t_score",
    "total_correlation",
    "tschuprows_t",
    "uncertainty_coefficient",
    "unit_name",
    "v_measure",
    "variation_of_information",
    "z_score",
]
