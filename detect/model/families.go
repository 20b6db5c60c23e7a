package model

import (
	"detectd/detect"
	"detectd/detect/ssd"
	"detectd/detect/yolox"
)

// Families is the table of detector families: a new one is one folder and one
// row here.
func Families() []detect.Family {
	return []detect.Family{
		ssd.Family(),
		yolox.Family(),
	}
}

func family(name string) (detect.Family, bool) {
	for _, f := range Families() {
		if f.Name == name {
			return f, true
		}
	}
	return detect.Family{}, false
}
