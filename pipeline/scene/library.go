package scene

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Library is the scenes that detectd's accuracy over time is measured on: 20 s
// of 1280x720 at 60 frames a second each, six kinds with other people in each set.
func Library(sets int) []*Scene {
	var all []*Scene
	for set := range sets {
		seed := uint64(10 * set) //nolint:gosec // sets are few
		for _, s := range []*Scene{
			Walkers(seed + 1), Crossings(seed + 2), Posts(seed + 3), Traffic(seed + 4), Crowd(seed + 5), Parked(seed+6, 20*time.Second),
		} {
			if set > 0 {
				s.Name = fmt.Sprintf("%s-%d", s.Name, set+1)
			}
			all = append(all, s)
		}
	}
	return all
}

func empty(name string, seed uint64) (*Scene, *rand.Rand) {
	s := &Scene{Name: name, Width: 1280, Height: 720, FPS: 60, Length: 20 * time.Second, Seed: seed}
	return s, s.random(name, seed)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// height is how high a person is whose feet are at y: the lower, the nearer.
func height(y float64) float64 { return 40 + y*0.28 }

func at(t, x, y float64) Waypoint { return Waypoint{At: seconds(t), X: x, Y: y, Height: height(y)} }

func (s *Scene) add(shape Shape, path ...Waypoint) {
	s.Actors = append(s.Actors, Actor{ID: fmt.Sprintf("%s-%d", s.Name, len(s.Actors)+1), Shape: shape, Path: path})
}

// wander is a person that walks at about a metre a second from place to place,
// turns, and sometimes stops for a while.
func wander(r *rand.Rand, from, to float64) []Waypoint {
	x, y, t := 100+1080*r.Float64(), 250+420*r.Float64(), from
	path := []Waypoint{at(t, x, y)}
	for t < to {
		if r.IntN(4) == 0 {
			t += 1 + 3*r.Float64()
			path = append(path, at(t, x, y))
			continue
		}
		angle, far := 2*math.Pi*r.Float64(), 1+2*r.Float64()
		x = min(1240, max(40, x+math.Cos(angle)*far*height(y)))
		y = min(690, max(230, y+math.Sin(angle)*far*height(y)*0.4))
		t += far / (0.5 + 0.4*r.Float64()) // half a height a second and more
		path = append(path, at(t, x, y))
	}
	return path
}

// Walkers are six people in the open who turn, stop and go on.
func Walkers(seed uint64) *Scene {
	s, r := empty("walkers", seed)
	for range 6 {
		s.add(Person, wander(r, 0, 20)...)
	}
	return s
}

// Crossings are pairs of people that walk towards and past each other, one of
// them hidden for a moment.
func Crossings(seed uint64) *Scene {
	s, r := empty("crossings", seed)
	for i := range 6 {
		y, start := 300+60*float64(i), 0.5*float64(i)
		speed := (0.6 + 0.4*r.Float64()) * height(y)
		s.add(Person, at(start, -40, y), at(start+1320/speed, 1320, y))
		speed = (0.6 + 0.4*r.Float64()) * height(y)
		s.add(Person, at(start, 1320, y+14), at(start+1320/speed, -40, y+14))
	}
	return s
}

// Posts are people that walk behind pillars, which hide them for up to a second.
func Posts(seed uint64) *Scene {
	s, r := empty("posts", seed)
	for i := range 3 {
		s.add(Wall, Waypoint{X: 320 + 320*float64(i), Y: 715, Height: 500})
	}
	for i := range 5 {
		y, start := 320+70*float64(i), 0.7*float64(i)
		speed := (0.7 + 0.4*r.Float64()) * height(y)
		from, to := -40.0, 1320.0
		if i%2 == 1 {
			from, to = to, from
		}
		s.add(Person, at(start, from, y), at(start+1360/speed, to, y))
	}
	return s
}

// Traffic are cars that cross the picture in two to four seconds, balls that roll
// and people that run.
func Traffic(seed uint64) *Scene {
	s, r := empty("traffic", seed)
	for i := range 9 {
		t, y := 2*float64(i)+r.Float64(), 420+250*r.Float64()
		h, took := height(y)*0.6, 2+2*r.Float64()
		from, to := -200.0, 1480.0
		if r.IntN(2) == 0 {
			from, to = to, from
		}
		s.add(Car, Waypoint{seconds(t), from, y, h}, Waypoint{seconds(t + took), to, y, h})
	}
	for i := range 4 {
		t, y := 4*float64(i)+2*r.Float64(), 350+300*r.Float64()
		s.add(Ball, Waypoint{seconds(t), -20, y, 26}, Waypoint{seconds(t + 1), 420, y, 28}, Waypoint{seconds(t + 3), 900, y + 20, 30}, Waypoint{seconds(t + 6), 1100, y + 30, 30})
	}
	for i := range 5 {
		t, y := 3*float64(i)+r.Float64(), 300+300*r.Float64()
		speed := (1.5 + r.Float64()) * height(y)
		s.add(Person, at(t, -40, y), at(t+1360/speed, 1320, y+40*r.Float64()))
	}
	return s
}

// Crowd are twenty people who come in each other's way.
func Crowd(seed uint64) *Scene {
	s, r := empty("crowd", seed)
	for i := range 20 {
		from := 0.0
		if i >= 14 {
			from = 8 * r.Float64()
		}
		s.add(Person, wander(r, from, 20)...)
	}
	return s
}

// Parked is a car park of any length: cars and sitting people that never move,
// and somebody who walks past them every minute.
func Parked(seed uint64, length time.Duration) *Scene {
	s, r := empty("parked", seed)
	s.Length = length
	for i := range 4 {
		s.add(Car, Waypoint{X: 200 + 290*float64(i), Y: 360 + 20*r.Float64(), Height: 80})
	}
	for range 3 {
		s.add(Person, at(0, 150+980*r.Float64(), 450+60*r.Float64()))
	}
	for t := 1.0; t < length.Seconds(); t += 60 {
		y := 400 + 250*r.Float64()
		speed := (0.6 + 0.3*r.Float64()) * height(y)
		s.add(Person, at(t, -40, y), at(t+1360/speed, 1320, y))
	}
	return s
}
