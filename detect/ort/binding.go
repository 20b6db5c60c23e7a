package ort

// makeBinding binds what stays the same from run to run: the constants, which a GPU
// then has in its own memory, and the buffers that outputs are copied to.
func (c *Call) makeBinding() error {
	b, err := c.session.CreateIoBinding()
	if err != nil {
		return err
	}
	c.binding = b
	for i, k := range c.s.info.Constants {
		if err := b.BindInput(k.Name, c.in[i+1]); err != nil {
			return err
		}
	}
	for i, name := range c.s.info.Outputs {
		if err := b.BindOutput(name, c.out[i]); err != nil {
			return err
		}
	}
	return nil
}

// runBound runs the model on what is bound. The pictures are bound anew each time:
// that is when ONNX Runtime copies them to a GPU.
func (c *Call) runBound() error {
	if err := c.binding.BindInput(c.s.info.Input, c.in[0]); err != nil {
		return describe(err)
	}
	return describe(c.session.RunWithBinding(c.binding))
}
