"""From a sealed directory to a channel: claims, what is sent, copied and read back, and the pointer that moves last."""
