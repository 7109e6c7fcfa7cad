"""What the benches of claiming and deciding share: world, crowd, browsers, control."""
