"""What makes features of tiles: the protocol, the wrapper, and the encoders that go by a name."""
