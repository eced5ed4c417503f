"""What TensorBoard shows of a run, as events below its `tb/`."""
