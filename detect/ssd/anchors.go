package ssd

import (
	"errors"
	"fmt"
	"math"

	"detectd/detect"
)

// count is the number of anchors of grids.
func count(grids []detect.AnchorGrid) int {
	n := 0
	for _, g := range grids {
		n += g.Cols * g.Rows * len(g.Sizes)
	}
	return n
}

// Limits against absurd contracts.
const (
	maxCells = 1 << 20 // per grid
	maxSizes = 64
	maxGrids = 16
)

func checkAnchors(grids []detect.AnchorGrid) error {
	if len(grids) == 0 {
		return errors.New("the contract has no anchors")
	}
	for i, g := range grids {
		if g.Cols < 1 || g.Rows < 1 || g.Cols > maxCells || g.Rows > maxCells/g.Cols ||
			len(g.Sizes) < 1 || len(g.Sizes) > maxSizes || len(grids) > maxGrids {
			return fmt.Errorf("anchor grid %d of %d by %d cells with %d sizes is out of range", i, g.Cols, g.Rows, len(g.Sizes))
		}
	}
	return nil
}

// corners lists the anchors' corners as the decoder takes them.
func corners(grids []detect.AnchorGrid, yx bool) []float32 {
	list := make([]float32, 0, 4*max(count(grids), 0))
	for _, g := range grids {
		stepX, stepY := g.StepX, g.StepY
		if stepX == 0 {
			stepX = 1 / float32(g.Cols)
		}
		if stepY == 0 {
			stepY = 1 / float32(g.Rows)
		}
		for y := range g.Rows {
			for x := range g.Cols {
				cx, cy := (float32(x)+0.5)*stepX, (float32(y)+0.5)*stepY
				for _, s := range g.Sizes {
					x0, y0, x1, y1 := cx-s[0]/2, cy-s[1]/2, cx+s[0]/2, cy+s[1]/2
					if yx {
						x0, y0, x1, y1 = y0, x0, y1, x1
					}
					list = append(list, x0, y0, x1, y1)
				}
			}
		}
	}
	return list
}

// LiteAnchors returns the anchors of torchvision's SSDLite for a size of the input:
// six grids of strides from 16 to 512, six boxes per cell with sides from 0.2 to
// 0.95 of the picture and aspect ratios of 1, 2 and 3, as in Sandler et al.,
// "MobileNetV2" (2018), after Liu et al., "SSD" (2016).
func LiteAnchors(width, height int) []detect.AnchorGrid {
	const levels, smallest, largest = 6, 0.2, 0.95
	var scales [levels + 1]float64
	for i := range levels {
		scales[i] = smallest + (largest-smallest)*float64(i)/(levels-1)
	}
	scales[levels] = 1
	grids := make([]detect.AnchorGrid, levels)
	w, h := (width+15)/16, (height+15)/16
	for i := range grids {
		s, between := scales[i], math.Sqrt(scales[i]*scales[i+1])
		r2, r3 := math.Sqrt(2), math.Sqrt(3)
		sizes := [...][2]float64{
			{s, s}, {between, between}, {s * r2, s / r2}, {s / r2, s * r2}, {s * r3, s / r3}, {s / r3, s * r3},
		}
		grids[i] = detect.AnchorGrid{Cols: w, Rows: h}
		for _, s := range sizes {
			grids[i].Sizes = append(grids[i].Sizes, [2]float32{float32(min(s[0], 1)), float32(min(s[1], 1))})
		}
		w, h = (w+1)/2, (h+1)/2
	}
	return grids
}
