"""Where older Keras scripts look for `pad_sequences` and `timeseries_dataset_from_array`."""

from ..hints import missing_names
from ..utils import timeseries_dataset_from_array
from . import sequence

__all__ = ["sequence", "timeseries_dataset_from_array"]

missing_names(__name__)
