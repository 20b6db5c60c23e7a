package modelcheck

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"detectd/pipeline/frame"
	"detectd/render/picture"
)

// Generated paints a street with coloured shapes, none of which is the mirror of
// another: what a network makes of it moves when the picture does. The frame is the caller's.
func Generated(pool *frame.Pool) (*frame.Frame, error) {
	img := image.NewRGBA(image.Rect(0, 0, 640, 480))
	fill := func(x0, y0, x1, y1 int, c color.RGBA) {
		draw.Draw(img, image.Rect(x0, y0, x1, y1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	fill(0, 0, 640, 220, color.RGBA{120, 170, 230, 255})   // sky
	fill(0, 220, 640, 480, color.RGBA{95, 95, 100, 255})   // road
	fill(0, 180, 230, 300, color.RGBA{150, 80, 60, 255})   // house
	fill(40, 210, 80, 250, color.RGBA{240, 235, 200, 255}) // window
	fill(300, 270, 520, 350, color.RGBA{200, 30, 35, 255}) // car
	fill(350, 230, 470, 272, color.RGBA{180, 210, 220, 255})
	fill(325, 340, 370, 385, color.RGBA{20, 20, 20, 255})
	fill(450, 340, 495, 385, color.RGBA{20, 20, 20, 255})
	fill(150, 280, 190, 420, color.RGBA{235, 225, 205, 255}) // somebody
	fill(156, 245, 184, 280, color.RGBA{220, 170, 140, 255})
	fill(560, 120, 575, 400, color.RGBA{60, 60, 60, 255}) // lamp
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return nil, fmt.Errorf("paint picture: %w", err)
	}
	f, _, err := picture.Decode(&buf, picture.Limits{}, pool)
	return f, err
}
