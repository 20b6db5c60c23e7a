package daemon

import (
	"context"

	"detectd/pipeline/decode"
	"detectd/web/health"
)

// The values of decode.hardware.
const (
	hardwareAuto  = "auto"
	hardwareOff   = "off"
	hardwareNVDEC = "nvdec"
)

// openCard opens the card that decodes, where there is one: before the models' runtime
// uses it, so that both share a context on it. Without one the CPU decodes, which is
// worth more than a line for debugging only where a card was asked for.
func (d *Daemon) openCard(context.Context) error {
	if d.cfg.Decode.Hardware == hardwareOff {
		return nil
	}
	card, err := decode.OpenCard(d.cfg.Detect.Device)
	switch {
	case err == nil:
		d.card = card
		d.onClose(func() error { card.Close(); return nil })
		d.log.Info("video is decoded on the card", "device", d.cfg.Detect.Device)
	case d.cfg.Decode.Hardware == hardwareNVDEC:
		d.noCard = err.Error()
		d.log.Warn("video is decoded on the CPU", "reason", err)
	default:
		d.log.Debug("video is decoded on the CPU", "reason", err)
	}
	return nil
}

// cardReady answers whether the card that was asked for is there.
func (d *Daemon) cardReady(context.Context) error {
	if d.noCard != "" {
		return health.Degraded("video is decoded on the CPU: " + d.noCard)
	}
	return nil
}
