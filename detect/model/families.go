package model

import (
	"strings"

	"detectd/detect"
	"detectd/detect/detr"
	"detectd/detect/nanodet"
	"detectd/detect/ssd"
	"detectd/detect/yolo"
	"detectd/detect/yolox"
)

// Families is the table of detector families: a new one is one folder and one
// row here.
func Families() []detect.Family {
	return []detect.Family{
		ssd.Family(),
		ssd.Heads(),
		yolox.Family(),
		yolo.V5(),
		yolo.V8(),
		yolo.EndToEnd(),
		detr.RTDETR(),
		detr.RFDETR(),
		yolo.Queries(),
		nanodet.Family(),
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

func familyNames() string {
	families := Families()
	names := make([]string, 0, len(families))
	for _, f := range families {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}
