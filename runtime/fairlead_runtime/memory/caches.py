"""What a layer keeps of a request between two tokens: keys and values, a latent, or a state that does not grow."""

from typing import NamedTuple, Protocol


class Attention(NamedTuple):
    """Keys and values of every token, or of the last `window`, or of the current chunk of `chunk` tokens."""

    kv_heads: int
    head_size: int
    value_size: int
    window: int | None = None
    chunk: int | None = None


class Latent(NamedTuple):
    """MLA: one compressed vector a token, whole on every GPU of the tensor-parallel group."""

    size: int


class State(Protocol):
    """A state of fixed size. elements() is (of the convolution, of the recurrence) on one of `tensor` GPUs; a convolution keeps
    `guesses` more columns while tokens are guessed.
    """

    def elements(self, tensor: int, guesses: int) -> tuple[int, int]: ...


class Mamba1(NamedTuple):
    """State space of Mamba, one for each of `inner` channels."""

    inner: int
    state: int
    kernel: int

    def elements(self, tensor: int, guesses: int) -> tuple[int, int]:
        del guesses  # not supported with this state
        return self.inner // tensor * (self.kernel - 1), self.inner // tensor * self.state


class Mamba2(NamedTuple):
    """State space of Mamba 2: `heads` of them, whose inputs are shared by groups."""

    inner: int
    groups: int
    heads: int
    head_size: int
    state: int
    kernel: int

    def elements(self, tensor: int, guesses: int) -> tuple[int, int]:
        # Groups that do not divide are repeated, so that each GPU has those of its heads.
        groups = self.groups if self.groups % tensor == 0 else tensor
        columns = (self.inner + 2 * groups * self.state) // tensor
        return columns * (self.kernel - 1 + guesses), self.heads // tensor * self.head_size * self.state


class DeltaNet(NamedTuple):
    """Gated delta network: Qwen3-Next's linear attention."""

    key_heads: int
    value_heads: int
    key_size: int
    value_size: int
    kernel: int

    def elements(self, tensor: int, guesses: int) -> tuple[int, int]:
        columns = (2 * self.key_heads * self.key_size + self.value_heads * self.value_size) // tensor
        recurrent = self.value_heads // tensor * self.value_size * self.key_size
        return columns * (self.kernel - 1 + guesses), recurrent


class ShortConvolution(NamedTuple):
    """LFM2's."""

    size: int
    kernel: int

    def elements(self, tensor: int, guesses: int) -> tuple[int, int]:
        del guesses
        return self.size // tensor * (self.kernel - 1), 0


Cache = Attention | Latent | Mamba1 | Mamba2 | DeltaNet | ShortConvolution
STATES = (Mamba1, Mamba2, DeltaNet, ShortConvolution)
