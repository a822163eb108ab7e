"""From picture files to vectors: decoding, backbones, the feature table, visual clusters."""
