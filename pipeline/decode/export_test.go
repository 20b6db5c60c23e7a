package decode

import "detectd/pipeline/frame"

// What tests without a card need of the inside.
const (
	Patience = patience
	Most     = most
	NotTaken = notTaken
)

// NewCard returns a card without a device.
func NewCard() *Card { return &Card{pools: map[int]poolRef{}} }

// Believe has a decoder believe that it has a card: libavcodec, which has none, decodes
// on the CPU then, as it does for video that a card does not take.
func (d *Decoder) Believe(c *Card) {
	d.opts.Card, d.deck, d.where = c, &deck{card: c}, ""
}

// Believes says that the decoder still does.
func (d *Decoder) Believes() bool { return d.deck != nil }

// Judge is what follows from an error of libavcodec.
func (d *Decoder) Judge(err error) error { return d.judge(err) }

// Lay leaves a picture where it is, as if that were a card.
func (d *Decoder) Lay(f *frame.Frame) error { return d.deck.lay(f) }

// Held is the number of pictures that are held on the card.
func (d *Decoder) Held() int { return int(d.deck.held.Load()) }
