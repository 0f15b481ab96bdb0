"""What calls return: executions with their results, artifacts, causes and state."""

from sandbox.results.animations import Animation, AnimationProgress
from sandbox.results.executions import CommandData, ExecutionData, OutputData
from sandbox.results.files import FileInfo, Files
from sandbox.results.network import NetworkEntry
from sandbox.results.outcomes import Cause, CodeException, State, Usage
from sandbox.results.timeline import Changes, Checkpoint, Difference, Variable
from sandbox.results.values import Artifact, Result
from sandbox.results.web import WebAppData

__all__ = [
    "Animation",
    "AnimationProgress",
    "Artifact",
    "Cause",
    "Changes",
    "Checkpoint",
    "CodeException",
    "CommandData",
    "Difference",
    "ExecutionData",
    "FileInfo",
    "Files",
    "NetworkEntry",
    "OutputData",
    "Result",
    "State",
    "Usage",
    "Variable",
    "WebAppData",
]
