"""Generation: from the distribution of the next token to text."""

from minillm.generation.cache import KeyValueCache
from minillm.generation.generate import GenerateOutput, generate
from minillm.generation.score import score
from minillm.generation.stream import stream
