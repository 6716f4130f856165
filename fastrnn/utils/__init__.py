"""What prepares data for models: padding, one-hot targets, windows over time series."""

from ..hints import missing_names
from ..random import set_random_seed
from .dataset import PyDataset, Sequence
from .padding import pad_sequences
from .targets import to_categorical
from .timeseries import TimeseriesDataset, timeseries_dataset_from_array

__all__ = [
    "PyDataset",
    "Sequence",
    "TimeseriesDataset",
    "pad_sequences",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
]

missing_names(__name__)
