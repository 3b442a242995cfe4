"""The peer of decoding.py: GPT-2 and Llama with a cache in plain PyTorch, with our names."""

import torch
from torch import nn
from torch.nn import functional as F


def attend(q, k, v, keys, values, start):
    """q (1, h, L, D); k, v (1, g, L, D) are written into the cache and read with what is there."""
    L = q.shape[2]
    keys[:, :, start : start + L] = k
    values[:, :, start : start + L] = v
    y = F.scaled_dot_product_attention(
        q,
        keys[:, :, : start + L],
        values[:, :, : start + L],
        is_causal=L > 1,
        enable_gqa=k.shape[1] != q.shape[1],
    )
    return y.transpose(1, 2).reshape(1, L, -1)


class GPTLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = nn.Module(), nn.Module()
        self.attention.qkv = nn.Linear(width, 3 * width)
        self.attention.output = nn.Linear(width, width)
        self.mlp.inner = nn.Linear(width, 4 * width)
        self.mlp.output = nn.Linear(4 * width, width)

    def forward(self, x, keys, values, start):
        _, L, E = x.shape
        qkv = self.attention.qkv(self.attention_norm(x)).view(1, L, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = x + self.attention.output(attend(q, k, v, keys, values, start))
        inner = F.gelu(self.mlp.inner(self.mlp_norm(x)), approximate="tanh")
        return x + self.mlp.output(inner)


class GPT(nn.Module):
    def __init__(self, vocab_size, n_embd, n_layer, n_head, context):
        super().__init__()
        self.cache_shape = (n_layer, 2, 1, n_head, context, n_embd // n_head)
        self.transformer = nn.Module()
        self.transformer.token = nn.Embedding(vocab_size, n_embd)
        self.transformer.position = nn.Embedding(context, n_embd)
        self.transformer.layers = nn.ModuleList(GPTLayer(n_embd, n_head) for _ in range(n_layer))
        self.transformer.norm = nn.LayerNorm(n_embd)

    def new_cache(self):
        return torch.zeros(self.cache_shape)

    def forward(self, ids, cache, start):
        model = self.transformer
        x = model.token(ids) + model.position.weight[start : start + ids.shape[1]]
        for layer, (keys, values) in zip(model.layers, cache, strict=True):
            x = layer(x, keys, values, start)
        return F.linear(model.norm(x[:, -1]), model.token.weight)  # (1, V)


class LlamaLayer(nn.Module):
    def __init__(self, width, inner, heads, groups):
        super().__init__()
        self.size = D = width // heads
        self.input_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-6)
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        self.self_attn.q_proj = nn.Linear(width, heads * D, bias=False)
        self.self_attn.k_proj = nn.Linear(width, groups * D, bias=False)
        self.self_attn.v_proj = nn.Linear(width, groups * D, bias=False)
        self.self_attn.o_proj = nn.Linear(heads * D, width, bias=False)
        self.mlp.gate_proj = nn.Linear(width, inner, bias=False)
        self.mlp.up_proj = nn.Linear(width, inner, bias=False)
        self.mlp.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x, cos, sin, keys, values, start):
        L = x.shape[1]
        own, normed = self.self_attn, self.input_layernorm(x)
        q, k, v = (
            part(normed).view(1, L, -1, self.size).transpose(1, 2)
            for part in (own.q_proj, own.k_proj, own.v_proj)
        )
        y = attend(turn(q, cos, sin), turn(k, cos, sin), v, keys, values, start)
        x = x + own.o_proj(y)
        normed = self.post_attention_layernorm(x)
        inner = F.silu(self.mlp.gate_proj(normed)) * self.mlp.up_proj(normed)
        return x + self.mlp.down_proj(inner)


def turn(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), -1)


class Llama(nn.Module):
    def __init__(self, context, **config):
        super().__init__()
        width, layers = config["hidden_size"], config["num_hidden_layers"]
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        D = width // heads
        self.cache_shape = (layers, 2, 1, groups, context, D)
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocab_size"], width)
        self.model.layers = nn.ModuleList(
            LlamaLayer(width, config["intermediate_size"], heads, groups) for _ in range(layers)
        )
        self.model.norm = nn.RMSNorm(width, eps=1e-6)
        self.lm_head = nn.Linear(width, config["vocab_size"], bias=False)
        speed = 10_000 ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
        angles = torch.arange(context)[:, None] * speed
        self.cos, self.sin = angles.cos().float(), angles.sin().float()  # (context, D/2)

    def new_cache(self):
        return torch.zeros(self.cache_shape)

    def forward(self, ids, cache, start):
        x, new = self.model.embed_tokens(ids), slice(start, start + ids.shape[1])
        for layer, (keys, values) in zip(self.model.layers, cache, strict=True):
            x = layer(x, self.cos[new], self.sin[new], keys, values, start)
        return self.lm_head(self.model.norm(x[:, -1]))  # (1, V)


def make(config: dict, context: int) -> nn.Module:
    """GPT-2 or Llama of this config."""
    kind = GPT if "n_embd" in config else Llama
    return kind(**config, context=context)
