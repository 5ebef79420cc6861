"""What commands write for each other and for people: ``.npz``, ``.pkl`` and CSV files. Never imports torch."""

from latentcli.artifacts.hybrid_folders import hybrid_folder_writer
from latentcli.artifacts.images import hybrids_writer, read_hybrids, reconstructions_writer
from latentcli.artifacts.info import describe
from latentcli.artifacts.latents import holds_latents, latents_writer, read_latents, write_latents
from latentcli.artifacts.parameters import read_classifier, write_classifier
from latentcli.artifacts.tables import predictions_writer, write_bad_files, write_predictions, write_table
from latentcli.formats.checksummed_npz import read_arrays, write_arrays

__all__ = [
    "describe",
    "holds_latents",
    "hybrid_folder_writer",
    "hybrids_writer",
    "latents_writer",
    "predictions_writer",
    "read_arrays",
    "read_classifier",
    "read_hybrids",
    "read_latents",
    "reconstructions_writer",
    "write_arrays",
    "write_bad_files",
    "write_classifier",
    "write_latents",
    "write_predictions",
    "write_table",
]
