"""Training: the loop, checkpoints, and what a run tells while it goes on."""

from minillm.training.checkpoint import (
    CheckpointError,
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from minillm.training.divergence import TrainingDiverged
from minillm.training.interrupt import TrainingInterrupted
from minillm.training.progress import TIMING_FIELDS, read_metrics
from minillm.training.run_folder import RunFolderInUse
from minillm.training.trainer import Trainer, parameter_groups
