"""Small models of other architectures than the shipped one, with random weights."""

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel


def build(kind, words):
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    sizes = {
        "vocab_size": words, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 128, "initializer_range": 0.3, **ends,
    }  # fmt: skip
    torch.manual_seed(0)
    if kind == "gpt2":
        gpt2 = GPT2Config(vocab_size=words, n_embd=32, n_layer=2, n_head=2, n_positions=128, initializer_range=0.3, **ends)
        model = GPT2LMHeadModel(gpt2)
    elif kind == "mistral":
        model = MistralForCausalLM(MistralConfig(**sizes, head_dim=16, sliding_window=6))
    elif kind == "gemma2":
        model = Gemma2ForCausalLM(Gemma2Config(**sizes, head_dim=16, query_pre_attn_scalar=16, sliding_window=6))
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    else:
        opt = OPTConfig(
            vocab_size=words, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=128,
            word_embed_proj_dim=32, init_std=0.3, **ends,
        )  # fmt: skip
        model = OPTForCausalLM(opt)
    return model.eval()


@pytest.fixture(scope="session", params=["gpt2", "mistral", "gemma2", "qwen2", "opt"])
def other(request, tiny):
    """Learned positions; a sliding window narrower than the prompts; that and capped logits; grouped heads; shifted positions."""
    model = build(request.param, len(tiny.tokenizer))
    forward, words = CausalForward(model), tiny.tokenizer
    found = LoadedModel(model=model, tokenizer=words, forward=forward, device=tiny.device, dtype=tiny.dtype, weights="", limit_tokens=128)
    return request.param, found
