"""The identity provider: where its keys come from, and what its tokens prove."""
