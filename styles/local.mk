# Made by scripts/make-styles: the packs that are installed.
dist_styles_DATA = \
	%D%/boccioni.nststyle \
	%D%/dalziel.nststyle \
	%D%/delaunay.nststyle \
	%D%/gauguin.nststyle \
	%D%/haeckel.nststyle \
	%D%/hokusai-fuji.nststyle \
	%D%/hokusai.nststyle \
	%D%/kandinsky.nststyle \
	%D%/klimt.nststyle \
	%D%/marc.nststyle \
	%D%/monet.nststyle \
	%D%/munch.nststyle \
	%D%/seurat.nststyle \
	%D%/signac.nststyle \
	%D%/van-gogh-harvest.nststyle \
	%D%/van-gogh.nststyle \
	%D%/vermeer.nststyle
