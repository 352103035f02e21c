import math

import pytest
import torch
from torch.nn import functional as F

from aifr_lib.models.transformer_branch import MeanBranch, TransformerBranch, sinusoids
from aifr_lib.names import ConfigError

SMALL = {"channels": 16, "layers": 2, "heads": 4, "feedforward": 24, "tokens": 6}


def small(**options) -> TransformerBranch:
    torch.manual_seed(0)
    return TransformerBranch(**{**SMALL, **options}).eval()


def test_parameter_count():
    with torch.device("meta"):
        count = sum(p.numel() for p in TransformerBranch(512).parameters())
        learned = sum(p.numel() for p in TransformerBranch(512, pos_encoding="learned").parameters())
    assert count == 18_914_304
    assert learned == count + 49 * 512


@pytest.mark.parametrize("cells", [(7, 7), (7, 6)])
def test_tokens_and_shapes(cells):
    tokens = cells[0] * cells[1]
    with torch.device("meta"):
        branch = TransformerBranch(512, layers=1, tokens=tokens)
        features = torch.zeros(2, 512, *cells)
        assert branch.encode(features).shape == (2, tokens, 512)
        assert branch(features).shape == (2, 512)
    assert tokens in (49, 42)


def by_hand(branch: TransformerBranch, features: torch.Tensor) -> torch.Tensor:
    """Eqs. 6 to 8 for one picture, head by head and token by token, norm after each addition."""
    channels, height, width = features.shape
    x = torch.stack([features[:, row, column] for row in range(height) for column in range(width)])
    if branch.position is not None:
        x = x + branch.position
    for layer in branch.encoder:
        attention = layer.self_attn
        q, k, v = (x @ attention.in_proj_weight.T + attention.in_proj_bias).split(channels, dim=1)
        size = channels // attention.num_heads
        heads = []
        for head in range(attention.num_heads):
            own = slice(head * size, (head + 1) * size)
            rows = []
            for query in q[:, own]:
                weights = torch.stack([query @ key / math.sqrt(size) for key in k[:, own]]).softmax(0)
                rows.append((weights[:, None] * v[:, own]).sum(0))
            heads.append(torch.stack(rows))
        x = layer.norm1(x + attention.out_proj(torch.cat(heads, dim=1)))
        x = layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))
    return sum(x) / len(x)


@pytest.mark.parametrize("pos_encoding", ["none", "sinusoidal", "learned"])
def test_against_a_slow_recomputation(pos_encoding):
    branch = small(pos_encoding=pos_encoding)
    features = torch.randn(3, 16, 3, 2)
    expected = torch.stack([by_hand(branch, one) for one in features])
    torch.testing.assert_close(branch(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pos_encoding", ["none", "sinusoidal", "learned"])
def test_permuting_tokens_matters_only_with_positions(pos_encoding):
    branch = small(pos_encoding=pos_encoding)
    features = torch.randn(2, 16, 3, 2)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = features.flatten(2)[:, :, order].view_as(features)
    same = torch.allclose(branch(features), branch(permuted), rtol=1e-4, atol=1e-5)
    assert same == (pos_encoding == "none")


def test_position_code_of_vaswani():
    code = sinusoids(5, 8)
    for position in range(5):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert code[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert code[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def test_layers_start_different():
    one, two = (layer.linear1.weight for layer in small().encoder)
    assert not torch.equal(one, two)


def test_memory_format_does_not_matter():
    branch = small(pos_encoding="sinusoidal")
    features = torch.randn(2, 16, 3, 2)
    last = features.to(memory_format=torch.channels_last)
    torch.testing.assert_close(branch(last), branch(features), rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(ConfigError, match="did you mean 'learned'"):
        small(pos_encoding="learnt")
    with pytest.raises(ConfigError, match="16 channels do not divide among 3 heads"):
        small(heads=3)
    with pytest.raises(ValueError, match=r"4x4 = 16 cells.*6 tokens"):
        small()(torch.zeros(1, 16, 4, 4))


def test_attention_by_hand():
    branch = small(layers=2)
    features = torch.randn(3, branch.channels, 2, 3)
    first, second = branch.attention(features)
    assert first.shape == second.shape == (3, 6, 6)
    torch.testing.assert_close(first.sum(-1), torch.ones(3, 6))
    layer, heads = branch.encoder[0], branch.encoder[0].self_attn.num_heads
    tokens = branch.tokens_of(features)
    q, k, _ = (tokens @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).chunk(3, -1)
    q, k = (one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (q, k))
    wanted = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1)
    torch.testing.assert_close(first, wanted, atol=1e-5, rtol=1e-4)


def test_what_leaves_nothing_to_relate_is_refused():
    with pytest.raises(ConfigError, match="a map of one cell"):
        small(tokens=1)
    with pytest.raises(ConfigError, match="layers 0"):
        small(layers=0)


def test_a_frozen_branch_has_nothing_to_learn_and_the_mean_of_cells_is_eq_8_of_the_map():
    assert not any(one.requires_grad for one in small(pos_encoding="learned").freeze().parameters())
    features = torch.randn(2, 6, 3, 3)
    cells = features.flatten(2).transpose(1, 2)
    torch.testing.assert_close(MeanBranch(6)(features), sum(cells[:, i] for i in range(9)) / 9)
