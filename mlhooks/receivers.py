"""Listens to reviews: new item versions become due for scoring."""
