"""Inspection of fitted networks: functions that compute, and displays that draw."""

from skcnn.inspection._evidence import ClassEvidenceDisplay, class_evidence
from skcnn.inspection._feature_maps import FeatureMapsDisplay, feature_maps
from skcnn.inspection._filters import FiltersDisplay
from skcnn.inspection._loss_curve import LossCurveDisplay
from skcnn.inspection._misclassified import MisclassifiedDisplay, misclassified
from skcnn.inspection._occlusion import OcclusionDisplay, occlusion

__all__ = [
    "ClassEvidenceDisplay",
    "FeatureMapsDisplay",
    "FiltersDisplay",
    "LossCurveDisplay",
    "MisclassifiedDisplay",
    "OcclusionDisplay",
    "class_evidence",
    "feature_maps",
    "misclassified",
    "occlusion",
]
