# SPDX-License-Identifier: MIT
# gallery.mk - render each photograph in album/ in each style, as made/PHOTO-STYLE.png.
STYLES ?= munch
OPTIONS ?=

photos := $(wildcard album/*.jpg album/*.png)
names := $(foreach p,$(photos),$(basename $(notdir $(p))))
results := $(foreach s,$(STYLES),$(names:%=made/%-$(s).png))

all: $(results)

# $(1): a photograph, $(2): a style, which may be a file
define picture
made/$(basename $(notdir $(1)))-$(2).png: $(1) $(wildcard $(2)) made/.options
	nst $$(OPTIONS) -s $(2) -o $$@ $(1)
endef
$(foreach p,$(photos),$(foreach s,$(STYLES),$(eval $(call picture,$(p),$(s)))))

# updated only if the options have changed
made/.options: FORCE
	@mkdir -p made
	@echo '$(OPTIONS)' | cmp -s - $@ || echo '$(OPTIONS)' >$@

clean:
	rm -f $(results) made/.options
.PHONY: all clean FORCE
# An interrupted nst fails after it has written the picture so far: make it again.
.DELETE_ON_ERROR:
