"""The laws of `Match`, over every matcher: dense, by blocks (`bilevel_match`), per token (made by hand here),
and those of the models of chapter 7, untrained.

A matcher of a later notebook is held to them by one more line in `MATCHERS`."""
import pytest
import torch

from rabit.relatives.cocosnet import DenseMatcher
from rabit.relatives.dynast import DynamicMatcher
from rabit.relatives.masked_attention import MaskedMatcher
from rabit.relatives.patchmatch import PatchMatcher
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError, center_normalize, pixel_grid, to_blocks
from rabit.matching.bilevel import bilevel_match
from rabit.matching.match import Match, dense_match
from rabit.matching.streamed import streamed_match


def token_match(query, key, q=5, trust=1.):
    "Each query token with its own q best candidates; `trust` below 1 takes weight away"
    scores = center_normalize(query).flatten(2).transpose(1, 2) @ center_normalize(key).flatten(2)
    best = scores.topk(min(q, scores.shape[-1]), -1)
    weights = trust * (best.values / .05).softmax(-1)[:, :, None]
    return Match(weights, best.indices, query.shape[-2:], key.shape[-2:], (1, 1),
                 best.values[..., 0].view(-1, 1, *query.shape[-2:]))


def learned(make):
    "A matcher with weights of its own: the same ones each time, in the features' precision"
    def match(query, key):
        seed_all(0)
        return make(query.shape[1]).to(query.dtype)(query, key)
    return match


MATCHERS = {
    "cocosnet": lambda q, k: DenseMatcher(.05)(q, k),
    "patchmatch": learned(lambda c: PatchMatcher()),
    "patchmatch, one": learned(lambda c: PatchMatcher(keep=1, iterations=1)),
    "dynast": learned(lambda c: DynamicMatcher(c)),
    "dynast, short": learned(lambda c: DynamicMatcher(c, scales=1, dense_layers=1, sparse_layers=1)),
    "matebit": learned(lambda c: MaskedMatcher(c, blocks=2)),
    "matebit, cut": learned(lambda c: MaskedMatcher(c, blocks=1, mask="cut")),
    "dense": lambda q, k: dense_match(q, k, .05),
    "dense, streamed": lambda q, k: streamed_match(q, k, .05),
    "dense cold": lambda q, k: dense_match(q, k, .005),
    "blocks of 1, keep 3": lambda q, k: bilevel_match(q, k, 1, 3),
    "blocks of 2, keep 1": lambda q, k: bilevel_match(q, k, 2, 1),
    "blocks of 2, keep 3": lambda q, k: bilevel_match(q, k, 2, 3),
    "blocks of 3, keep 2": lambda q, k: bilevel_match(q, k, 3, 2),
    "blocks of 3, soft": lambda q, k: bilevel_match(q, k, 3, 2, eps=5.),
    "blocks of 4, keep 2": lambda q, k: bilevel_match(q, k, 4, 2),
    "block of everything": lambda q, k: bilevel_match(q, k, 16, 1),
    "per token": token_match,
    "per token, one": lambda q, k: token_match(q, k, 1),
    "per token, half trust": lambda q, k: token_match(q, k, trust=.5),
}
SIZES = [((8, 8), (8, 8)), ((5, 7), (5, 7)), ((6, 4), (5, 9)), ((9, 10), (7, 5)), ((16, 17), (20, 12))]
matchers = pytest.mark.parametrize("match", MATCHERS.values(), ids=MATCHERS)
sizes = pytest.mark.parametrize("query_size, key_size", SIZES, ids=str)


def features(*sizes, b=2, c=16, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(b, c, *size, generator=g).to(dtype) for size in sizes]


def as_tokens(x): return x.flatten(2).transpose(1, 2)


@matchers
@sizes
def test_rows_sum_to_at_most_one(match, query_size, key_size):
    t = match(*features(query_size, key_size)).dense()
    assert t.shape == (2, query_size[0] * query_size[1], key_size[0] * key_size[1])
    assert t.min() >= 0 and t.sum(-1).max() <= 1 + 1e-5 and t.sum(-1).min() > .2


@matchers
@sizes
def test_warping_a_constant_gives_the_row_sum(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    torch.testing.assert_close(m.warp(torch.ones(2, 1, *key_size)), m.row_sum())
    torch.testing.assert_close(m.row_sum().flatten(1), m.dense().sum(-1))


@matchers
@sizes
def test_all_answers_agree_with_the_matrix(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    v, u = features(key_size, query_size, c=3, seed=1)
    t = m.dense()
    torch.testing.assert_close(as_tokens(m.warp(v)), t @ as_tokens(v))
    torch.testing.assert_close(m.column_sum().flatten(1), t.sum(1))
    arrived = t.sum(1)[..., None]
    torch.testing.assert_close(as_tokens(m.inverse_warp(u)), t.transpose(1, 2) @ as_tokens(u)
                               / arrived.clamp_min(1e-6), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(m.entropy().flatten(1), torch.special.entr(t).sum(-1), atol=1e-5, rtol=1e-4)
    best = as_tokens(m.argmax())
    assert torch.equal(best[..., 1] * key_size[1] + best[..., 0], t.argmax(-1).float())


@matchers
@sizes
def test_nothing_is_lost_by_the_inverse_warp(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    torch.testing.assert_close(m.column_sum().sum((1, 2, 3)), m.row_sum().sum((1, 2, 3)))
    returned, column_sum = m.inverse_warp(torch.full((2, 1, *query_size), 3.)), m.column_sum()
    arrived = returned[column_sum > 1e-5]
    torch.testing.assert_close(arrived, torch.full_like(arrived, 3.))
    assert not returned[column_sum == 0].any()


@matchers
@sizes
def test_finer_maps_move_as_patches(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    v, = features((key_size[0] * 2, key_size[1] * 3), c=3, seed=1)
    u, = features((query_size[0] * 2, query_size[1] * 3), c=3, seed=2)
    for i, j in ((0, 0), (1, 1), (0, 2)):
        torch.testing.assert_close(m.warp(v)[..., i::2, j::3], m.warp(v[..., i::2, j::3].contiguous()))
        torch.testing.assert_close(m.inverse_warp(u)[..., i::2, j::3],
                                   m.inverse_warp(u[..., i::2, j::3].contiguous()))


@matchers
@sizes
def test_hard_keeps_the_best(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    hard, size = m.hard(), (key_size[0] * 2, key_size[1] * 3)
    assert set(hard.weights.unique().tolist()) <= {0., 1.}
    torch.testing.assert_close(hard.row_sum(), torch.ones(2, 1, *query_size))
    assert torch.equal(hard.dense().argmax(-1), m.dense().argmax(-1))
    assert torch.equal(m.argmax(size), hard.warp(pixel_grid(size).expand(2, -1, -1, -1)))


@matchers
@sizes
def test_confidence_lies_between_0_and_1(match, query_size, key_size):
    m = match(*features(query_size, key_size))
    assert (m.confidence().shape == (2, 1, *query_size) and 0 <= m.confidence().min()
            and m.confidence().max() <= 1)
    bare = Match(m.weights, m.index, m.query_size, m.key_size, m.block)
    assert torch.equal(bare.confidence(), m.row_sum())


@matchers
@pytest.mark.parametrize("size", [(8, 8), (5, 7), (12, 6)], ids=str)
def test_a_copy_is_matched_back_exactly(match, size):
    key, = features(size)
    v, = features(size, c=3, seed=1)
    m = match(key, key)
    assert torch.equal(m.hard().warp(v), v)
    if m.max_similarity is not None: torch.testing.assert_close(m.max_similarity, torch.ones(2, 1, *size))
    else: assert m.row_sum().min() > .99                                       # nothing was cut
    assert torch.equal(m.column_sum().min(1).values > 0, torch.ones(2, *size, dtype=torch.bool))


SEE_ALL = ["cocosnet", "matebit", "matebit, cut", "dense", "dense, streamed", "dense cold", "per token",
           "per token, one", "block of everything", "blocks of 1, keep 3"]
SEE_BLOCKS = ["blocks of 2, keep 1", "blocks of 2, keep 3", "blocks of 4, keep 2"]


CASES = [(name, True) for name in SEE_ALL] + [(name, False) for name in SEE_BLOCKS]


@pytest.mark.parametrize("name, every", CASES)
@pytest.mark.parametrize("size", [(8, 8), (4, 12)], ids=str)
def test_a_permuted_copy_is_matched_back_exactly(name, every, size):
    "Any permutation where all tokens are seen; else blocks change places, and tokens inside them"
    (key,), (v,) = features(size), features(size, c=3, seed=1)
    g = torch.Generator().manual_seed(2)
    n = size[0] * size[1]
    order = torch.randperm(n, generator=g)
    if not every:
        s = 4 if "4" in name else 2
        token = to_blocks(torch.arange(float(n)).view(1, 1, *size), (s, s))[0, ..., 0].long()        # (g, p)
        moved = token[torch.randperm(len(token), generator=g)]
        moved = moved.gather(1, torch.rand(moved.shape, generator=g).argsort(1))
        order[token.flatten()] = moved.flatten()
    mix = lambda x: x.flatten(2)[..., order].view_as(x)
    m = MATCHERS[name](mix(key), key)
    assert torch.equal(m.hard().warp(v), mix(v))
    assert torch.equal(m.hard().inverse_warp(mix(v)), v)


@matchers
@sizes
def test_gradients_reach_query_and_exemplar(match, query_size, key_size):
    query, key = (x.requires_grad_() for x in features(query_size, key_size))
    v, u = features(key_size, query_size, c=3, seed=1)
    m = match(query, key)
    # one candidate leaves no choice, but a similarity
    if m.weights.shape[-1] == 1: loss = m.confidence().square().sum()
    else: loss = m.warp(v).square().sum() + m.inverse_warp(u).square().sum() + m.confidence().sum()
    loss.backward()
    for grad in (query.grad, key.grad): assert grad.isfinite().all() and grad.abs().sum((1, 2, 3)).min() > 0
    # every query token, padded grids included
    assert (query.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", ["blocks of 2, keep 3", "blocks of 3, soft"])
def test_gradients_reach_the_ranking(name):
    "Blocks that are not chosen receive gradient through the threshold of the soft indicator"
    query, key = features((6, 6), (6, 6), b=1)
    key.requires_grad_()
    m = MATCHERS[name](query, key)
    m.warp(features((6, 6), b=1, c=3, seed=1)[0]).square().sum().backward()
    first = m.index[0, 0]                                             # tokens that the first query block sees
    unseen = torch.ones(36, dtype=torch.bool).scatter(0, m.index.flatten(), False)
    assert len(first.unique()) < 36
    if unseen.any(): assert (key.grad.abs().sum(1).flatten()[unseen] > 0).all()


@matchers
def test_samples_of_a_batch_do_not_meet(match):
    query, key = features((6, 4), (5, 9), b=3)
    together = match(query, key).dense()
    for i in range(3): torch.testing.assert_close(match(query[i:i + 1], key[i:i + 1]).dense()[0], together[i])


@matchers
def test_double_precision_stays(match):
    query, key = features((5, 7), (6, 4), dtype=torch.float64)
    m, single = match(query, key), match(query.float(), key.float())
    assert m.weights.dtype == torch.float64
    torch.testing.assert_close(m.dense().float(), single.dense(), atol=1e-4, rtol=1e-3)


@matchers
def test_what_does_not_fit_is_refused(match):
    query, key = features((4, 4), (6, 6))
    m = match(query, key)
    for call, size in ((m.warp, (9, 12)), (m.warp, (3, 3)), (m.inverse_warp, (6, 8)), (m.argmax, (8, 12))):
        with pytest.raises(RabitError, match=str(size[0])):
            call(size if call == m.argmax else torch.zeros(2, 1, *size))


@pytest.mark.parametrize("name", ["dense", "blocks of 2, keep 3"])
def test_features_that_cannot_be_compared_are_refused(name):
    query, key = features((4, 4), (6, 6))
    for q, k in ((query, key[:, 1:]), (query[:1], key), (query[0], key), (query / 0, key),
                 (query, key * torch.nan), (query[..., :0], key)):
        with pytest.raises(RabitError): MATCHERS[name](q, k)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(RabitError, match=r"\(b, 9, 6, q\) is needed"):
        Match(torch.ones(1, 6, 9, 4), None, (5, 7), (2, 2), (2, 3))
