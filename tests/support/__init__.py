"""What tests share: estimators that misbehave, processes looked at, which cases wait."""
