package model

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"detectd/detect"
)

// rival is a contract that differs in one or two points from the one under test.
type rival struct {
	contract detect.Contract
	change   string // as --contract takes it
	input    bool   // the model has to be run again for it
	colour   bool   // only red and blue are changed over
}

// scaling is a usual way to bring levels to numbers; mean and deviation are in the
// order red, green, blue.
type scaling struct {
	scale     float32
	mean, std [3]float32
}

func scalings() []scaling {
	one := [3]float32{1, 1, 1}
	return []scaling{
		{1, [3]float32{}, one},
		{1.0 / 255, [3]float32{}, one},
		{2.0 / 255, one, one},
		{1.0 / 255, [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}},
	}
}

// rivals are the contracts that people take for c, and the other way round.
func rivals(c detect.Contract) (list []rival) {
	swapped := c
	swapped.Input = swap(c.Input)
	list = append(list, rival{contract: swapped, change: colourChange(swapped.Input), input: true, colour: true})
	if c.Input.ElementType() != detect.Uint8 {
		for _, s := range scalings() {
			other := c
			if other.Input = s.apply(c.Input); !alike(c.Input, other.Input) {
				list = append(list, rival{contract: other, change: scaleChange(other.Input), input: true})
				other.Input = s.apply(swapped.Input)
				list = append(list, rival{
					contract: other, change: colourChange(other.Input) + " " + scaleChange(other.Input), input: true,
				})
			}
		}
	}
	return append(list, outputRivals(c)...)
}

// outputRivals read the same outputs in another way.
func outputRivals(c detect.Contract) (list []rival) {
	add := func(change string, edit func(*detect.Contract)) {
		other := c
		other.Params = map[string]float64{}
		maps.Copy(other.Params, c.Params)
		edit(&other)
		list = append(list, rival{contract: other, change: change})
	}
	units := []detect.BoxUnit{c.BoxUnit}
	switch c.BoxUnit {
	case detect.Unit:
		units = append(units, detect.Pixels)
	case detect.Pixels:
		units = append(units, detect.Unit)
	}
	formats := []detect.BoxFormat{c.Box}
	if c.Box != "" {
		formats = []detect.BoxFormat{detect.CXCYWH, detect.XYXY, detect.YXYX}
	}
	for _, box := range formats {
		for _, unit := range units {
			var changes []string
			if box != c.Box {
				changes = append(changes, "box="+string(box))
			}
			if unit != c.BoxUnit {
				changes = append(changes, "box_unit="+string(unit))
			}
			if len(changes) > 0 {
				add(strings.Join(changes, " "), func(o *detect.Contract) { o.Box, o.BoxUnit = box, unit })
			}
		}
	}
	for _, key := range [...]string{"yx_order", "decoded"} {
		if v, ok := c.Params[key]; ok || key == "decoded" && c.Family == "yolox" {
			add(fmt.Sprintf("params.%s=%g", key, 1-v), func(o *detect.Contract) { o.Params[key] = 1 - v })
		}
	}
	return list
}

// swap changes red and blue over, with the numbers that go with them.
func swap(in detect.Input) detect.Input {
	if in.Colour == detect.BGR {
		in.Colour = detect.RGB
	} else {
		in.Colour = detect.BGR
	}
	in.Mean[0], in.Mean[2] = in.Mean[2], in.Mean[0]
	in.Std[0], in.Std[2] = in.Std[2], in.Std[0]
	return in
}

func (s scaling) apply(in detect.Input) detect.Input {
	in.Scale, in.Mean, in.Std = s.scale, s.mean, s.std
	if in.Colour == detect.BGR {
		in.Mean[0], in.Mean[2] = in.Mean[2], in.Mean[0]
		in.Std[0], in.Std[2] = in.Std[2], in.Std[0]
	}
	return in
}

// alike tells whether two ways of scaling give about the same numbers.
func alike(a, b detect.Input) bool {
	value := func(in detect.Input, i int, level float32) float64 {
		return float64((level*in.Scale - in.Mean[i]) / in.Std[i])
	}
	for i := range 3 {
		width := math.Abs(value(a, i, 255) - value(a, i, 0))
		for _, level := range [...]float32{0, 255} {
			if math.Abs(value(a, i, level)-value(b, i, level)) > width/10 {
				return false
			}
		}
	}
	return true
}

func colourChange(in detect.Input) string { return "input.colour=" + string(in.Colour) }

func scaleChange(in detect.Input) string {
	list := func(v [3]float32) string {
		parts := make([]string, 0, len(v))
		for _, x := range v {
			parts = append(parts, strconv.FormatFloat(float64(x), 'g', -1, 32))
		}
		if parts[0] == parts[1] && parts[1] == parts[2] {
			return parts[0]
		}
		return strings.Join(parts, ",")
	}
	scale := strconv.FormatFloat(float64(in.Scale), 'g', -1, 32)
	for _, over := range [...]float32{1, 2} {
		if in.Scale == over/255 {
			scale = fmt.Sprintf("%g/255", over)
		}
	}
	return fmt.Sprintf("input.scale=%s input.mean=%s input.std=%s", scale, list(in.Mean), list(in.Std))
}
