package file

import "github.com/asticode/go-astiav"

// aspectOf is the shape of pixels that the container gives; zero when it does not.
func aspectOf(s *astiav.Stream) [2]int {
	r := s.SampleAspectRatio()
	if r.Num() <= 0 || r.Den() <= 0 {
		return [2]int{}
	}
	return [2]int{r.Num(), r.Den()}
}
