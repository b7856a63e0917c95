"""The repack: a short book about one trick."""
