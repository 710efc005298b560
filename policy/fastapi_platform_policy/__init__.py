"""Rules that judge what a Pulumi program consists of, and the plain records that they judge."""
