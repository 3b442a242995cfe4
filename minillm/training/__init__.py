"""Training: the loop, checkpoints, and what a run tells while it goes on."""

from minillm.training.checkpoint import load_checkpoint, save_checkpoint
from minillm.training.checkpoint_folder import (
    CheckpointError,
    checkpoints,
    latest_checkpoint,
    verify_checkpoint,
)
from minillm.training.classification import (
    balanced_class_weight,
    classification_objective,
    classification_validation,
)
from minillm.training.divergence import TrainingDiverged
from minillm.training.early_stopping import EarlyStopping
from minillm.training.interrupt import TrainingInterrupted
from minillm.training.mixed_precision import GradScaler
from minillm.training.parameter_groups import layerwise_groups, parameter_groups
from minillm.training.processes import ProcessError, at_the_same_time
from minillm.training.progress import TIMING_FIELDS, read_metrics
from minillm.training.run_folder import RunFolderInUse
from minillm.training.trainer import Trainer
