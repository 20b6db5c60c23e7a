package store

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func square() []Point { return []Point{{0.1, 0.1}, {0.9, 0.1}, {0.9, 0.9}, {0.1, 0.9}} }

func TestZoneMapsThatAreFine(t *testing.T) {
	m := ZoneMap{
		Zones: []Zone{
			{ID: "yard", Polygon: square(), Loiter: time.Minute, Objects: ObjectFilter{Classes: []string{"person"}, MinArea: 0.01, MaxArea: 0.5, MinScore: 0.4}},
			{ID: "all", Polygon: []Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}},
			{ID: "l-shape", Polygon: []Point{{0, 0}, {1, 0}, {1, 0.3}, {0.3, 0.3}, {0.3, 1}, {0, 1}}},
			{ID: "straight-corner", Polygon: []Point{{0, 0}, {0.5, 0}, {1, 0}, {0.5, 1}}},
			{ID: "triangle", Polygon: []Point{{0, 0}, {1, 0}, {0.5, 1}}},
		},
		Lines: []Line{{ID: "gate", From: Point{0, 0.5}, To: Point{1, 0.5}, Direction: DirectionRight}},
		Masks: []Mask{{ID: "tree", Polygon: square(), Classes: []string{"bird"}, MaxArea: 0.1}},
	}
	require.NoError(t, m.Validate())
	require.NoError(t, ZoneMap{}.Validate())
}

func TestZoneMapsThatAreRefused(t *testing.T) {
	zone := func(p ...Point) ZoneMap {
		return ZoneMap{Zones: []Zone{{ID: "a", Polygon: square()}, {ID: "b", Polygon: p}}}
	}
	filter := func(f ObjectFilter) ZoneMap { return ZoneMap{Zones: []Zone{{ID: "a", Polygon: square(), Objects: f}}} }
	line := func(l Line) ZoneMap { l.ID = "a"; return ZoneMap{Lines: []Line{l}} }
	many := ZoneMap{}
	for range MaxShapes + 1 {
		many.Zones = append(many.Zones, Zone{})
	}
	for want, m := range map[string]ZoneMap{
		"zones: 65 zones, lines and masks are more than 64":                                                many,
		`zones[0].id: "A b" is no id: small letters, digits, - and _ only, 63 at most`:                     {Zones: []Zone{{ID: "A b", Polygon: square()}}},
		`masks[0].id: "a" is the id of another zone, line or mask`:                                         {Zones: []Zone{{ID: "a", Polygon: square()}}, Masks: []Mask{{ID: "a"}}},
		"zones[1].polygon: it has 2 corners, it takes 3 to 100":                                            zone(Point{0, 0}, Point{1, 1}),
		"zones[1].polygon: it has 101 corners, it takes 3 to 100":                                          zone(make([]Point, 101)...),
		"zones[1].polygon[1]: [1.1, 0] is outside of the picture: both must be between 0 and 1":            zone(Point{0, 0}, Point{1.1, 0}, Point{1, 1}),
		"zones[1].polygon[0]: [NaN, 0] is outside of the picture: both must be between 0 and 1":            zone(Point{math.NaN(), 0}, Point{1, 0}, Point{1, 1}),
		"zones[1].polygon: corners 3 and 1 are the same":                                                   zone(Point{0, 0}, Point{1, 0}, Point{0, 0}),
		"zones[1].polygon: its sides 1 and 3 cross or touch; draw it so that they do not, or as two zones": zone(Point{0, 0}, Point{1, 1}, Point{1, 0}, Point{0, 1}),
		"zones[1].polygon: its sides 1 and 2 cross or touch; draw it so that they do not, or as two zones": zone(Point{0, 0}, Point{1, 0}, Point{0.5, 0}, Point{0.5, 1}),
		"zones[1].polygon: its sides 2 and 4 cross or touch; draw it so that they do not, or as two zones": zone(Point{0, 0}, Point{1, 0}, Point{0.5, 0.5}, Point{1, 1}, Point{0.5, 0.5}, Point{0, 1}),
		"zones[1].polygon: it has no area":                                                                 zone(Point{0, 0}, Point{1e-5, 0}, Point{1e-5, 1e-5}),
		"zones[0].objects.max_area: it is smaller than min_area":                                           filter(ObjectFilter{MinArea: 0.5, MaxArea: 0.1}),
		"zones[0].objects.min_score: 1.5 is not between 0 and 1":                                           filter(ObjectFilter{MinScore: 1.5}),
		"zones[0].objects.min_area: NaN is not between 0 and 1":                                            filter(ObjectFilter{MinArea: math.NaN()}),
		"zones[0].objects.classes[1]: an empty name is no class":                                           filter(ObjectFilter{Classes: []string{"car", ""}}),
		"zones[0].loiter_seconds: -1 is not between 0 and 86400":                                           {Zones: []Zone{{ID: "a", Polygon: square(), Loiter: -time.Second}}},
		"lines[0].to: the line has no length":                                                              line(Line{From: Point{0.5, 0.5}, To: Point{0.5, 0.5}, Direction: DirectionBoth}),
		"lines[0].from: [0, 2] is outside of the picture: both must be between 0 and 1":                    line(Line{From: Point{0, 2}, To: Point{0.5, 0.5}}),
		`lines[0].direction: "up" is none of both, right and left`:                                         line(Line{To: Point{0.5, 0.5}, Direction: "up"}),
	} {
		err := m.Validate()
		require.EqualError(t, err, want)
		var ze *ZoneError
		require.ErrorAs(t, err, &ze)
	}
}

// TestTurnedZones: a point stays on what is under it, and four quarters are none.
func TestTurnedZones(t *testing.T) {
	m := ZoneMap{
		Zones: []Zone{{ID: "z", Polygon: []Point{{0, 0.3}, {0.1, 0.3}, {0.1, 0.6}}}},
		Lines: []Line{{ID: "l", From: Point{0.2, 0}, To: Point{0.2, 1}, Direction: DirectionLeft}},
		Masks: []Mask{{ID: "m", Polygon: []Point{{0.5, 0.5}, {1, 0.5}, {1, 1}}}},
	}
	quarter := m.Turned(90)
	require.Equal(t, []Point{{0.7, 0}, {0.7, 0.1}, {0.4, 0.1}}, quarter.Zones[0].Polygon)
	require.Equal(t, Line{ID: "l", From: Point{1, 0.2}, To: Point{0, 0.2}, Direction: DirectionLeft}, quarter.Lines[0])
	require.Equal(t, []Point{{0.5, 0.5}, {0.5, 1}, {0, 1}}, quarter.Masks[0].Polygon)
	require.Equal(t, Point{0, 0.3}, m.Zones[0].Polygon[0], "the old map is left alone")
	require.Equal(t, m.Turned(180), quarter.Turned(90))
	require.Equal(t, m.Turned(-90), quarter.Turned(180))
	require.Equal(t, m, quarter.Turned(270))
	require.Equal(t, m, m.Turned(360))
}
